"""300,000 rows, and everything going wrong: ``python -m tests.reliability.soak``, half an hour.

Servers of numbered pictures misbehave at random (``misbehaving.py``). The command is started, killed or
stopped after seconds, started again, several times; then it runs to its end in one stretch, its workers
killed in the first minutes; then ``retry_failed`` goes over what can pass, its workers killed too. At the end
every row must be there once, every image must be that of its row, and the memory of the tree must not have
grown from the tenth minute of the stretch to its last. Exit status 0 only if all of it is so. What is random
is drawn from ``--seed``; what was under way when something was killed differs from one soak to the next.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.reliability import WORK
from tests.reliability.memory_series import MemoryVerdict, minute_maxima, verdict_of
from tests.reliability.misbehaving_server import MisbehavingServer
from tests.reliability.pictures import LARGEST_NUMBER
from tests.reliability.running import COMMAND, Run, let_children_be_interrupted, words
from tests.reliability.soak_checking import Account, check_dataset, numbers_in

HOSTS = 16
INTERRUPTIONS = ("worker, then tree", "main process", "SIGTERM", "whole tree", "SIGINT", "every worker")
SHORT_RUN_S = (8.0, 25.0)
# From here on no worker is killed: what is seen of their memory is that of workers that live.
LAST_KILL_S = 300.0
SECONDS_BETWEEN_KILLS = (20.0, 60.0)
MOST_RETRY_PASSES = 6
LONGEST_RUN_S = 3 * 3600.0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reliability.soak", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=300_000, help="(default: 300,000)")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2, help="workers of the run")
    parser.add_argument("--work", type=Path, default=WORK / "soak", help="emptied first")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.rows <= LARGEST_NUMBER:
        parser.error(f"--rows must be from 1 to {LARGEST_NUMBER}, not {chosen.rows}")
    return chosen


def write_list(path: Path, servers: list[MisbehavingServer], rows: int) -> None:
    """A parquet list; which server and host has a picture follows from its number."""
    urls = [
        servers[number % len(servers)].url(f"/numbered/{number}.jpg", host=1 + number // 7 % HOSTS)
        for number in numbers_in(rows)
    ]
    captions = [f"row {row}" for row in range(rows)]
    pq.write_table(pa.table({"url": urls, "caption": captions, "row": list(range(rows))}), path)


def command_of(chosen: argparse.Namespace, mode: str) -> list[str]:
    """The command of every run of the soak."""
    options = {
        "url_list": chosen.work / "list.parquet",
        "input_format": "parquet",
        "url_col": "url",
        "caption_col": "caption",
        "save_additional_columns": '["row"]',
        "output_folder": chosen.work / "dataset",
        "output_format": "webdataset",
        "number_sample_per_shard": 2000,
        "image_size": 120,
        "processes_count": chosen.processes,
        "thread_count": 32,
        "timeout": 2,
        "deadline": 5,
        "retries": 1,
        "max_shard_retry": 3,
        "max_retry_after": 3,
        "incremental_mode": mode,
    }
    return [COMMAND, *words(options)]


def run_interrupted(command: list[str], log: Path, how: str, chance: random.Random) -> str:
    """Start the command, break it after some seconds, see that nothing of it stays. In words."""
    with Run(command, log, 2.0) as run:
        run.wait(chance.uniform(*SHORT_RUN_S))
        if how == "worker, then tree":
            run.kill(chance.choice(run.workers()))
            run.wait(chance.uniform(1, 6))
        if how in ("worker, then tree", "whole tree"):
            run.kill_tree()
        elif how == "every worker":
            for worker in run.workers():
                run.kill(worker)
            run.wait(chance.uniform(1, 6))
            run.kill(run.process.pid)
        else:
            number = signal.Signals[how] if how.startswith("SIG") else signal.SIGKILL
            run.kill(run.process.pid, number)
        status = run.wait(60)
        if status is None or not run.wait_until_alone(60):
            raise RuntimeError(f"{how}: a process was still there 60 s later")
        return f"{how} after {run.seconds:.0f} s: exit {status}, peak {run.peak / 1e6:.0f} MB"


def kill_workers(run: Run, chance: random.Random, killed: list[float], ended: threading.Event) -> None:
    """Kill a random worker now and then, in the first minutes."""
    while run.seconds < LAST_KILL_S and not ended.wait(chance.uniform(*SECONDS_BETWEEN_KILLS)):
        if workers := run.workers():
            run.kill(chance.choice(workers))
            killed.append(run.seconds)


def run_stretch(command: list[str], log: Path, chance: random.Random) -> tuple[Run, list[float], int]:
    """Run the command to its end, its workers killed in the first minutes; the run, the kills, its status."""
    killed: list[float] = []
    ended = threading.Event()
    with Run(command, log, 2.0) as run:
        killer = threading.Thread(target=kill_workers, args=(run, chance, killed, ended))
        killer.start()
        status = run.wait(LONGEST_RUN_S)
        ended.set()
        killer.join()
    if status is None:
        raise RuntimeError(f"a run did not end in {LONGEST_RUN_S / 3600:.0f} hours")
    return run, killed, status


def report_stretch(name: str, run: Run, killed: list[float], status: int) -> None:
    last = run.said().strip().splitlines()
    shown = [line for line in last if "rows in" in line or "replaced" in line or "taken up" in line]
    peak = f"peak {run.peak / 1e6:.0f} MB"
    print(f"{name}: {run.seconds:.0f} s, exit {status}, {len(killed)} workers killed, {peak}")
    print(*(f"    {line}" for line in shown), sep="\n", flush=True)


def make_dataset(chosen: argparse.Namespace) -> MemoryVerdict:
    """All the runs; what the memory of the long one did."""
    chance = random.Random(chosen.seed)
    log = chosen.work / "log.txt"
    servers = [MisbehavingServer(chosen.seed) for _ in range(2)]
    try:
        write_list(chosen.work / "list.parquet", servers, chosen.rows)
        command = command_of(chosen, "incremental")
        for how in INTERRUPTIONS:
            print(run_interrupted(command, log, how, chance), flush=True)
        run, killed, status = run_stretch(command, log, chance)
        report_stretch("uninterrupted", run, killed, status)
        print(f"    MB, highest of each minute: {minute_maxima(run.samples)}", flush=True)
        verdict = verdict_of(run.samples)
        if status:
            raise RuntimeError(f"the run ended with status {status}, see {log}")
        retry_until_nothing_recovers(command_of(chosen, "retry_failed"), log, chance)
        return verdict
    finally:
        for server in servers:
            server.close()


def retry_until_nothing_recovers(command: list[str], log: Path, chance: random.Random) -> None:
    """Interrupt ``retry_failed`` twice, then repeat it until no row recovers."""
    for how in ("whole tree", "SIGTERM"):
        print("retry_failed,", run_interrupted(command, log, how, chance), flush=True)
    for _ in range(MOST_RETRY_PASSES):
        run, killed, status = run_stretch(command, log, chance)
        report_stretch("retry_failed", run, killed, status)
        if status:
            raise RuntimeError(f"retry_failed ended with status {status}, see {log}")
        if ": 0 more rows succeeded" in run.said():
            return


def report(chosen: argparse.Namespace, account: Account, memory: MemoryVerdict, verified: int) -> bool:
    """Print what was found; whether all is well."""
    print(
        f"{len(account.rows):,} rows in {account.shards} shards: "
        + ", ".join(f"{name} {count:,}" for name, count in account.statuses.most_common())
    )
    print(*(f"    {count:>8,}  {message}" for message, count in account.failures.most_common()), sep="\n")
    print(f"{account.images:,} images decoded, each held against the number of its row")
    print(f"img2dataset verify --images: exit {verified}")
    print(memory)
    print(
        f"wrong: {len(account.wrong)}", *(f"    {line}" for line in account.wrong[:20]), sep="\n", flush=True
    )
    return not account.wrong and not verified and memory.is_flat


def main() -> int:
    chosen = parse(sys.argv[1:])
    let_children_be_interrupted()
    shutil.rmtree(chosen.work, ignore_errors=True)
    chosen.work.mkdir(parents=True)
    print(f"{chosen.rows:,} rows, seed {chosen.seed}, {chosen.processes} workers", flush=True)
    memory = make_dataset(chosen)
    dataset = chosen.work / "dataset"
    account = check_dataset(dataset, chosen.seed, chosen.rows, chosen.processes)
    with open(chosen.work / "verify.txt", "wb") as output:
        verified = subprocess.run([COMMAND, "verify", str(dataset), "--images"], stdout=output, stderr=output)
    well = report(chosen, account, memory, verified.returncode)
    print("all is well" if well else "NOT well")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

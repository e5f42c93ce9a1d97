"""The engines side by side on the cores of this machine: local, Spark, Ray and ranks, over one list, in turn.

Each engine makes what it needs itself, on this machine, with as many worker processes as there are cores: a
Spark session of one task with all cores, a Ray cluster of one node, a rank a core. Spark and Ray take
seconds to start and to end, whatever the length of the list; so two figures are told: of the whole command,
and of the time from the start of the first shard to the end of the last.

    python -m benchmarks.engines [--rows 30000] [--rounds 3] [--engine multiprocessing pyspark ray ranks]

It needs the extras ``spark`` and ``ray``, and java.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import run
from benchmarks.contenders import Contender
from benchmarks.machine import describe_machine, load_warning, usable_cores
from benchmarks.rounds import Bench
from benchmarks.scenarios import SCENARIOS

ENGINES = ("multiprocessing", "pyspark", "ray", "ranks")
ROWS_A_SHARD = 1000
THREADS = 64
# A line a shard in a file that is no dataset's, since the dataset is removed after each run.
TIMES = "times.json"


@dataclass(frozen=True)
class EngineContender(Contender):
    """This program with one of its engines."""

    cores: int = 1

    def command(self, url_list: Path, output: Path, rows_per_shard: int, more: Sequence[str]) -> list[str]:
        """One program, or one for each rank."""
        usual = super().command(url_list, output, rows_per_shard, more)
        usual += ["--thread_count", str(THREADS), "--distributor", self.name]
        if self.name != "ranks":
            config = {
                "ray": ["--distributor_config", json.dumps(["address=local", f"num_cpus={self.cores}"])]
            }
            return [*usual, "--processes_count", str(self.cores), *config.get(self.name, [])]
        ranks = [
            [*usual, "--processes_count", "1", "--rank", str(rank), "--world_size", str(self.cores)]
            for rank in range(self.cores)
        ]
        return ["sh", "-c", " & ".join(map(shlex.join, ranks)) + " & wait"]

    def count(self, output: Path) -> tuple[int, int]:
        """As of any dataset; the shards' own times are kept beside it."""
        shards = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
        times = [min(each["start_time"] for each in shards), max(each["end_time"] for each in shards)]
        (output.parent / TIMES).write_text(json.dumps(times))
        return super().count(output)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000, help="of the list (default: 30000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument(
        "--engine", nargs="+", choices=ENGINES, default=list(ENGINES), help="which (default: all)"
    )
    return parser.parse_args(arguments)


def measure(bench: Bench, rows: int, rounds: int) -> dict[str, list[tuple[float, float, float]]]:
    """Images/s of the whole command, images/s while shards were made, and CPU ms an image, of each run."""
    scenario = dataclasses.replace(SCENARIOS["http"], rows=rows, rows_per_shard=ROWS_A_SHARD)
    url_list = bench.write_scenario_list(scenario)
    found: dict[str, list[tuple[float, float, float]]] = {each.name: [] for each in bench.contenders}
    for _ in range(rounds):
        for contender in bench.contenders:
            measured = bench.measure_run(contender, scenario, url_list, [])
            if measured.failure:
                raise RuntimeError(f"{contender.name}: {measured.failure}")
            began, ended = json.loads((bench.work / "runs" / TIMES).read_text())
            within = measured.successes / (ended - began)
            found[contender.name].append((measured.images_per_s, within, measured.cpu_ms_per_image))
            print(
                f"{contender.name:15} {measured.images_per_s:6.0f} images/s, {within:6.0f} while at work,"
                f" {measured.cpu_ms_per_image:5.2f} ms of CPU, {measured.seconds:5.1f} s,"
                f" {measured.peak_pss / 1e6:4.0f} MB",
                flush=True,
            )
    return found


def table(found: dict[str, list[tuple[float, float, float]]]) -> str:
    """The medians, and how each stands to the first engine."""
    rows = {
        name: [statistics.median(each) for each in zip(*runs, strict=True)] for name, runs in found.items()
    }
    first = next(iter(rows.values()))
    lines = [
        "| engine | images/s, whole command | images/s while at work | CPU an image |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, (whole, within, cpu_ms) in rows.items():
        shares = f"{whole / first[0]:.0%}", f"{within / first[1]:.0%}"
        lines.append(f"| {name} | {whole:.0f} ({shares[0]}) | {within:.0f} ({shares[1]}) | {cpu_ms:.2f} ms |")
    return "\n".join(lines)


def main() -> int:
    chosen = parse(sys.argv[1:])
    warning = load_warning()
    plan = run.parse(["--scenario", "http", "--setting", "equal", "--no-peer", "--no-daft"])
    with run.prepared_bench(plan) as bench:
        python = Path(sys.executable)
        contenders: list[Contender] = [
            EngineContender(name, python, usable_cores()) for name in chosen.engine
        ]
        environment = {**bench.environment, "SPARK_LOCAL_IP": "127.0.0.1", "RAY_AUTH_MODE": "disabled"}
        bench = dataclasses.replace(bench, contenders=contenders, environment=environment)
        found = measure(bench, chosen.rows, chosen.rounds)
    print(f"\n{describe_machine()}; {chosen.rows} rows; medians of {chosen.rounds} rounds")
    if warning:
        print(f"Caution: {warning}.")
    print("\n" + table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

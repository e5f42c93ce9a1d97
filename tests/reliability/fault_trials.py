"""One try of one fault, a function each: a ``Place`` comes in, a ``Trial`` goes out. For ``faults.py``."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.pictures import photograph
from tests.reliability.bombs import gzip_bomb
from tests.reliability.fault_place import (
    ALONE_WITHIN_S,
    BAD_ROWS,
    SAMPLE_INTERVAL_S,
    SHARD_SIZE,
    Place,
    Trial,
    downloaders,
    kill_all,
)

BOMB_MEGABYTES = 500


class NotPossible(Exception):
    """This fault cannot be made on this machine; the message says why."""


def nothing(place: Place) -> Trial:
    place.fill(latency_s=0.1, threads=4)
    return place.run_to_its_end()


def worker_killed(place: Place) -> Trial:
    place.part = 0.15 + 0.6 * place.part  # later, some workers have no row left
    place.fill(latency_s=0.1, threads=4)
    with place.start() as run:
        place.await_moment(run)
        workers: list[int] = []
        while not workers and run.wait(0.02) is None:
            workers = downloaders(run, place.server.port)
        if workers:
            run.kill(place.chance.choice(workers))
        trial = place.await_end(run)
    trial.notes += [] if workers else ["had ended before the kill"]
    return trial


def tree_killed(place: Place) -> Trial:
    place.fill(latency_s=0.1, threads=4)
    with place.start() as run:
        was_running = place.await_moment(run)
        kill_all(run)
    trial = place.run_to_its_end(place.account())
    trial.notes += [] if was_running else ["had ended before the kill"]
    return trial


def terminated(place: Place) -> Trial:
    place.fill(latency_s=0.1, threads=4)
    with place.start() as run:
        place.await_moment(run)
        run.kill(run.process.pid, signal.SIGTERM)
        stopped = place.await_end(run)
    trial = place.run_to_its_end(stopped.account)
    trial.notes.append(f"after the signal: {stopped.end}")
    if stopped.processes_left:
        trial.notes.append(f"{stopped.processes_left} processes still there {ALONE_WITHIN_S:.0f} s later")
    return trial


def interrupted_in_one_shard(place: Place) -> Trial:
    """Ctrl-C half-way through a list that is one shard, then the same command again."""
    place.fill(latency_s=0.1, threads=4)
    place.part = 0.2 + 0.6 * place.part
    place.options["number_sample_per_shard"] = len(place.urls)
    with place.start() as run:
        place.await_moment(run)
        run.kill(run.process.pid, signal.SIGINT)
        stopped = place.await_end(run)
    asked = place.server.statistics()["requests"]
    trial = place.run_to_its_end(stopped.account)
    again = place.server.statistics()["requests"] - asked
    trial.notes.append(f"after the signal: {stopped.end}")
    kept = again < len(place.urls)
    trial.notes.append("what was downloaded was kept" if kept else "every picture was asked for again")
    return trial


def worker_stopped(place: Place) -> Trial:
    """A worker under SIGSTOP, which is neither dead nor alive."""
    place.part = 0.15 + 0.6 * place.part
    place.fill(latency_s=0.1, threads=4)
    with place.start() as run:
        place.await_moment(run)
        workers: list[int] = []
        while not workers and run.wait(0.02) is None:
            workers = downloaders(run, place.server.port)
        if workers:
            run.kill(place.chance.choice(workers), signal.SIGSTOP)
        trial = place.await_end(run)
    trial.notes += [] if workers else ["had ended before the stop"]
    return trial


def few_descriptors(place: Place) -> Trial:
    """A limit of 64 open files, and a hundred transfers in flight in each process."""
    place.fill(latency_s=0.3, threads=100)
    with place.start(SAMPLE_INTERVAL_S) as run:
        resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        return place.await_end(run)


def other_shard_size(place: Place) -> Trial:
    """Killed half-way, then with another shard size; where that is refused, with the first size again."""
    place.fill(latency_s=0.1, threads=4)
    place.part = 0.55
    with place.start() as run:
        place.await_moment(run)
        kill_all(run)
    before = place.account()
    size = place.options["number_sample_per_shard"]
    place.options["number_sample_per_shard"] = SHARD_SIZE * 3 // 2
    trial = place.run_to_its_end(before)
    if trial.end != "exit 0":
        refused = trial.end
        place.options["number_sample_per_shard"] = size
        trial = place.run_to_its_end(before)
        trial.notes.append(f"with another size: refused, {refused}; with the first size again")
    return trial


def served_badly(*paths: str) -> Callable[[Place], Trial]:
    """Six rows whose addresses are these in turn."""

    def attempt(place: Place) -> Trial:
        place.fill(paths)
        return place.run_to_its_end()

    return attempt


def served_bodies(
    body: Callable[[], bytes], headers: tuple[tuple[str, str], ...] = (), latency_s: float = 0.0
) -> Callable[[Place], Trial]:
    """Six rows whose addresses answer with this body."""

    def attempt(place: Place) -> Trial:
        place.server.put("/bad.jpg", body(), headers=headers, latency_s=latency_s)
        place.fill(("/bad.jpg",))
        return place.run_to_its_end()

    return attempt


def truncated_picture() -> bytes:
    whole = photograph(400, 300, seed=9)
    return whole[: len(whole) // 2]


def bomb() -> bytes:
    return gzip_bomb(BOMB_MEGABYTES)


def comma_in_a_txt_list(place: Place) -> Trial:
    place.fill()
    place.urls[BAD_ROWS[0]] += ",with,commas"
    Path(str(place.options["url_list"])).write_text("".join(f"{url}\n" for url in place.urls))
    return place.run_to_its_end()


def timestamp_column(place: Place) -> Trial:
    place.fill()
    table = pa.table({"url": place.urls, "taken": [datetime(2024, 1, 1)] * len(place.urls)})
    pq.write_table(table, place.folder / "list.parquet")
    place.options |= {
        "url_list": place.folder / "list.parquet",
        "input_format": "parquet",
        "url_col": "url",
        "save_additional_columns": '["taken"]',
    }
    return place.run_to_its_end()


@contextlib.contextmanager
def small_disk(place: Place) -> Iterator[None]:
    """The output goes to a file system of 400 KB for the while.

    Raises:
        NotPossible: this user may not mount one.
    """
    place.fill()
    disk = place.folder / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk))
    place.options["output_folder"] = disk / "output"
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def mount(*words: str) -> None:
    if shutil.which("mount") is None:
        raise NotPossible("there is no mount command")
    mounted = subprocess.run(["mount", *words], capture_output=True, text=True)
    if mounted.returncode:
        raise NotPossible(f"a tmpfs cannot be mounted: {mounted.stderr.strip()}")


def full_disk(place: Place) -> Trial:
    with small_disk(place):
        full = place.run_to_its_end()
        mount("-o", "remount,size=100m", str(place.output.parent))
        trial = place.run_to_its_end(full.account)
    trial.notes.append(f"while it was full: {full.end}")
    return trial


def read_only_disk(place: Place) -> Trial:
    with small_disk(place):
        mount("-o", "remount,ro", str(place.output.parent))
        trial = place.run_to_its_end()
        reason = "Read-only file system" in (place.folder / "log.txt").read_text(errors="replace")
        trial.notes.append(f"the reason is {'said' if reason else 'not said'}")
    return trial

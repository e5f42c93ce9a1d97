"""The memory of the program that hands out a list to a cluster, for a short list and a long one.

What is measured is all that the program itself does: planning the list, handing out its shards, taking
reports, counting. The cluster is a stand-in that answers at once that each shard is done, and puts the
statistics of it into the output folder, since the program looks for them. So no image is downloaded, and the
long list takes minutes rather than days.

    python -m benchmarks.driver_memory [--rows 100000 50000000] [--engine pyspark ray]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROWS_A_SHARD = 10_000


def report_of(text: str, folder: Path) -> str:
    """What a machine would say of a shard, as text, when its statistics are in the folder."""
    from img2dataset.types import ShardReport, ShardStats, spec_of_json

    spec = spec_of_json(text)
    rows = getattr(spec, "rows", ROWS_A_SHARD)
    stats = ShardStats(spec.shard_id, rows, rows, 0, 0, time.time(), time.time(), {"success": rows})
    (folder / f"{spec.shard_id:05d}_stats.json").write_text(json.dumps(stats.as_json()))
    return ShardReport(spec.shard_id, stats).to_json()


@contextlib.contextmanager
def stand_in_for_spark(folder: Path) -> Iterator[None]:
    from img2dataset.distributing import spark, spark_jobs, spark_pass
    from img2dataset.distributing.spark_task import SAID, TaskSaid
    from img2dataset.types import report_of_json

    class Session:
        def __init__(self, *arguments: Any) -> None:
            pass

        def close(self) -> None:
            pass

    def collected(jobs: Any, groups: list[list[str]], function: Any) -> list[dict[str, str]]:
        texts = [text for group in groups for text in group]
        return [{SAID: TaskSaid(report_of_json(report_of(text, folder))).to_text()} for text in texts]

    def ask(one_pass: Any, first: Any) -> None:
        one_pass._room = spark_jobs.Room(slots=100)

    with (
        patched(spark, "Session", Session),
        patched(spark_jobs.SparkJobs, "_collected", collected),
        patched(spark_pass.SparkPass, "_ask", ask),
    ):
        yield


@contextlib.contextmanager
def stand_in_for_ray(folder: Path) -> Iterator[None]:
    from img2dataset.distributing import ray_cluster
    from img2dataset.distributing.ray_member import News

    class Cluster:
        def __init__(self, config: Any) -> None:
            pass

        def nodes(self) -> dict[str, tuple[str, int]]:
            return {f"node-{number}": (f"10.0.0.{number}", 8) for number in range(8)}

        def close(self) -> None:
            pass

    class Node(ray_cluster.Node):
        def _ask(self) -> None:
            self._asked_at = time.monotonic()
            self._call: Any = "asked"
            self._said: Any = json.dumps({"host": self.address, "version": version(), "problem": None})

        @staticmethod
        def with_news(nodes: Any, wait_s: float) -> list[Any]:
            time.sleep(0.01)  # else the thread that plans the list gets no turn
            return [node for node in nodes if node._call is not None]

        def take(self) -> Any:
            self._call, said = None, self._said
            if said is None:
                self.is_at_work = True
            elif isinstance(said, News):
                self.wants = said.wants
            return said

        def begin(self, task: bytes, members: int, number: int) -> None:
            self.members, self.number = members, number
            self._call, self._said = "begun", None

        def exchange(self, shards: list[Any], is_end: bool) -> None:
            self.shards.update((shard.shard_id, shard) for shard in shards)
            self._call = "exchange"
            self._said = News([report_of(shard.to_json(), folder) for shard in shards], wants=4)

        def close(self, is_over: bool) -> None:
            pass

    with patched(ray_cluster, "Cluster", Cluster), patched(ray_cluster, "Node", Node):
        yield


def version() -> str:
    from img2dataset.version import __version__

    return __version__


@contextlib.contextmanager
def patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


STAND_INS: dict[str, Callable[[Path], Any]] = {"pyspark": stand_in_for_spark, "ray": stand_in_for_ray}


def write_list(path: Path, rows: int) -> None:
    with open(path, "w") as file:
        for start in range(0, rows, 100_000):
            end = min(rows, start + 100_000)
            file.writelines(f"https://images.example/{row:09d}.jpg\n" for row in range(start, end))


def run_once(engine: str, rows: int, folder: Path) -> None:
    """One run in this process, which then says what it took."""
    from img2dataset import download

    output = folder / "out"
    output.mkdir()
    began = time.monotonic()
    with STAND_INS[engine](output):
        summary = download(url_list=str(folder / "list.txt"), output_folder=str(output), distributor=engine)
    assert summary.count == rows, summary
    status = Path("/proc/self/status").read_text()
    peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    print(json.dumps({"peak_mb": peak_kb / 1024, "seconds": time.monotonic() - began}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 50_000_000])
    parser.add_argument("--engine", nargs="+", default=list(STAND_INS))
    parser.add_argument("--once", help="the folder of a list that is there, for one run")
    arguments = parser.parse_args()
    if arguments.once:
        run_once(arguments.engine[0], arguments.rows[0], Path(arguments.once))
        return
    for rows in arguments.rows:
        for engine in arguments.engine:
            with tempfile.TemporaryDirectory() as folder:
                write_list(Path(folder) / "list.txt", rows)
                command = [sys.executable, "-m", "benchmarks.driver_memory", "--once", folder]
                command += ["--rows", str(rows), "--engine", engine]
                measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            print(
                f"{engine}: {rows} rows: {measured['peak_mb']:.0f} MB, {measured['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()

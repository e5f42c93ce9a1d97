"""How many rows a second the program can feed to its workers: ``python -m benchmarks.feeding``.

A whole run with ``dummy`` output over a long list, with workers that do nothing: what is left is the
program's own process, which reads the list, cuts it into shards, hands them out and sums up the reports. That
bounds a machine of many cores. Rows for a second of its CPU are the ceiling when it has a core to itself.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import time
from pathlib import Path

from benchmarks import WORK
from benchmarks.long_lists import FORMATS, write_long_list
from benchmarks.machine import describe_machine, load_warning
from img2dataset import download
from img2dataset.distributing import local

ROWS = 5_000_000


def feed(url_list: Path, processes: int, rows_per_shard: int) -> tuple[float, float]:
    """Run over ``url_list``; returns the seconds it took, and the CPU seconds of this process."""
    output = WORK / "runs" / "feeding"
    shutil.rmtree(output, ignore_errors=True)
    columns = {} if url_list.suffix == ".txt" else {"url_col": "url", "caption_col": "caption"}
    before, start = _own_cpu(), time.monotonic()
    download(
        url_list=str(url_list),
        input_format=url_list.suffix[1:],
        output_folder=str(output),
        output_format="dummy",
        processes_count=processes,
        number_sample_per_shard=rows_per_shard,
        **columns,
    )
    seconds, cpu = time.monotonic() - start, _own_cpu() - before
    shutil.rmtree(output, ignore_errors=True)
    return seconds, cpu


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeding", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--processes", type=int, action="append", help="repeatable (default: 2 and 16)")
    parser.add_argument("--rows-per-shard", type=int, default=10_000)
    chosen = parser.parse_args()
    local.WORKER_MODULE = "benchmarks.no_op_worker"
    print(f"{describe_machine()}. {chosen.rows:,} rows, {chosen.rows_per_shard:,} a shard.")
    if warning := load_warning():
        print(f"Caution: {warning}.")
    print(
        "\n| list | workers | rows/s | rows for a second of the program's CPU |\n| --- | ---: | ---: | ---: |"
    )
    for ending in FORMATS:
        url_list = WORK / "lists" / f"feeding-{chosen.rows}.{ending}"
        if not url_list.exists():
            write_long_list(url_list, chosen.rows, 80, "small.jpg")
        for processes in chosen.processes or (2, 16):
            seconds, cpu = feed(url_list, processes, chosen.rows_per_shard)
            rates = f"{chosen.rows / seconds:,.0f} | {chosen.rows / cpu:,.0f}"
            print(f"| {ending} | {processes} | {rates} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

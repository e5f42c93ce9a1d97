"""Do memory and the first shard depend on the length of the list? ``python -m benchmarks.memory``.

Runs the real command over a short list (ten thousand rows) and a long one (five million), stops it after the
same number of finished shards, and prints the peak memory of the process tree and the seconds from the start
of the process to the first statistics file. One small image is served, so that what is seen is what the list
costs; ``run.py`` has the memory with photographs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import WORK
from benchmarks.contenders import PEER, PROJECT, Contender
from benchmarks.environments import (
    PEER_REQUIREMENT,
    contender_environment,
    make_authority,
    make_environment,
    peer_python,
)
from benchmarks.long_lists import FORMATS, write_long_list
from benchmarks.machine import describe_machine, load_warning, usable_cores
from benchmarks.process_tree import Usage, measure
from benchmarks.servers import Nginx

TIME_LIMIT_S = 300.0
IMAGE = "small.jpg"
IMAGE_SIDE = 96  # pixels; about 2 KB


@dataclass(frozen=True)
class Seen:
    """What one run showed. ``first_shard_s``: from the start of the process to the first statistics file."""

    finished_shards: int
    first_shard_s: float | None
    usage: Usage


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the long list")
    parser.add_argument("--short-rows", type=int, default=10_000, help="of the short list")
    parser.add_argument("--rows-per-shard", type=int, default=1000, help="(default: 1000)")
    parser.add_argument("--shards", type=int, default=10, help="finished shards after which a run is stopped")
    parser.add_argument("--format", choices=FORMATS, default="parquet", help="of the lists")
    parser.add_argument("--processes", type=int, default=usable_cores())
    parser.add_argument("--peer", action="store_true", help="img2dataset 1.47.0 as well")
    chosen = parser.parse_args(arguments)
    for name in ("rows", "short_rows", "rows_per_shard", "shards", "processes"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, not {getattr(chosen, name)}")
    return chosen


def serve_small_image(certificate: Path) -> Nginx:
    """nginx over one small photograph."""
    from PIL import Image

    folder = WORK / "small"
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parents[1] / "examples" / "demo" / "photographs" / "coffee.jpg"
    with Image.open(source) as photograph:
        photograph.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
        photograph.save(folder / IMAGE, quality=80)
    return Nginx(WORK / "servers" / "small", folder, certificate)


def run_until(
    contender: Contender,
    url_list: Path,
    rows_per_shard: int,
    shards: int,
    processes: int,
    environment: dict[str, str],
) -> Seen:
    """Run a contender over ``url_list`` until ``shards`` are finished, the list is, or five minutes are over.

    Raises:
        RuntimeError: it ended by itself, and not well.
    """
    work = WORK / "memory"
    work.mkdir(parents=True, exist_ok=True)
    output = work / "dataset"
    shutil.rmtree(output, ignore_errors=True)
    log = work / f"{contender.name.replace(' ', '-')}.log"
    command = contender.command(url_list, output, rows_per_shard, ["--processes_count", str(processes)])
    if url_list.suffix == ".txt":
        command = [*command[: command.index("--url_col")], *command[command.index("--output_folder") :]]
    start = time.time()
    usage = measure(command, log, environment, TIME_LIMIT_S, lambda: len(finished_shards(output)) >= shards)
    ends = finished_shards(output)
    shutil.rmtree(output, ignore_errors=True)
    if not usage.stopped and usage.exit_status:
        raise RuntimeError(f"{contender.name} ended with status {usage.exit_status}, see {log}")
    return Seen(len(ends), ends[0] - start if ends else None, usage)


def finished_shards(output: Path) -> list[float]:
    """When each finished shard's statistics were written (Unix seconds), in order."""
    return sorted(path.stat().st_mtime for path in output.glob("*_stats.json"))


def report_line(contender: str, what: str, seen: Seen) -> str:
    """One row of the table."""
    first = "none" if seen.first_shard_s is None else f"{seen.first_shard_s:.2f} s"
    usage = seen.usage
    return (
        f"| {contender} | {what} | {first} | {seen.finished_shards} | {usage.peak_pss / 1e6:.0f} MB"
        f" | {usage.peak_uss / 1e6:.0f} MB | {usage.peak_rss / 1e6:.0f} MB | {usage.peak_processes} |"
    )


def measure_contender(
    contender: Contender, chosen: argparse.Namespace, lists: dict[int, Path], environment: dict[str, str]
) -> list[str]:
    """The rows of one contender: each list with small shards, then the first shard of default size."""
    lines = []
    peaks = []
    for rows, url_list in lists.items():
        seen = run_until(
            contender, url_list, chosen.rows_per_shard, chosen.shards, chosen.processes, environment
        )
        peaks.append(seen.usage.peak_pss)
        lines.append(report_line(contender.name, f"{rows:,} rows, {chosen.rows_per_shard:,} a shard", seen))
        print(lines[-1], file=sys.stderr, flush=True)
    longest = max(lists)
    seen = run_until(contender, lists[longest], 10_000, 1, chosen.processes, environment)
    lines.append(report_line(contender.name, f"{longest:,} rows, 10,000 a shard", seen))
    print(lines[-1], file=sys.stderr, flush=True)
    lines.append(f"| {contender.name} | long over short list | | | {peaks[1] / peaks[0]:.2f} × | | | |")
    return lines


def main() -> int:
    chosen = parse(sys.argv[1:])
    warning = load_warning()
    try:
        bundle, certificate = make_authority(WORK / "authority")
        contenders = [Contender(PROJECT, Path(sys.executable))]
        if chosen.peer:
            python = make_environment(WORK / "environments" / "peer", PEER_REQUIREMENT, peer_python())
            contenders.append(Contender(PEER, python))
        nginx = serve_small_image(certificate)
        try:
            lists = {}
            for rows in (chosen.short_rows, chosen.rows):
                lists[rows] = WORK / "lists" / f"small-{rows}.{chosen.format}"
                print(f"list of {rows:,} rows", file=sys.stderr, flush=True)
                write_long_list(lists[rows], rows, nginx.http_port, IMAGE)
            environment = contender_environment(bundle)
            lines = [
                line
                for contender in contenders
                for line in measure_contender(contender, chosen, lists, environment)
            ]
        finally:
            nginx.close()
    except RuntimeError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print(f"\nMachine: {describe_machine()}. {chosen.format} lists, {chosen.processes} processes.")
    if warning:
        print(f"Caution: {warning}.")
    print("\n| program | list | first shard after | shards | peak PSS | peak USS | peak RSS | processes |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

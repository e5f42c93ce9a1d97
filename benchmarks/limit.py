"""The limit: the same bytes from memory through decode, resize and encode alone, on all cores.

``python -m benchmarks.limit FOLDER ROWS PROCESSES``, called by ``run.py``. Each process reads the corpus
into memory, waits for the others, then works through its share of the rows with the imaging room's
``ImageProcessor`` under the default options. No network, no writing, no hashes: what is left is what the
pixels cost, and no program that makes the same images can be faster on these cores. Prints one JSON line.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from benchmarks.corpus import RECIPES

WARM_UP_IMAGES = 5  # the first decode loads the codecs


def work_through(
    bodies: list[bytes], first: int, rows: int, step: int, ready: Barrier | None = None
) -> tuple[float, float, float, int]:
    """Process rows ``first``, ``first + step`` … below ``rows``; row r is ``bodies[r % len(bodies)]``.

    Returns:
        When it began and ended (seconds of the monotonic clock), CPU seconds, images made.
    """
    from img2dataset.imaging import ImageProcessor
    from img2dataset.options import resolve

    process_image = ImageProcessor(resolve({"url_list": "the defaults"}))
    for body in bodies[:WARM_UP_IMAGES]:
        process_image(body, None)
    if ready is not None:
        ready.wait(120)
    begin, cpu_begin, made = time.monotonic(), time.process_time(), 0
    for row in range(first, rows, step):
        # A corpus holds nothing that cannot be decoded: a failure here ends the run.
        process_image(bodies[row % len(bodies)], None)
        made += 1
    return begin, time.monotonic(), time.process_time() - cpu_begin, made


def _process(
    folder: Path,
    first: int,
    rows: int,
    processes: int,
    ready: Barrier,
    answers: multiprocessing.SimpleQueue[tuple[float, float, float, int]],
) -> None:
    files = json.loads((folder / "corpus.json").read_text())["files"]
    bodies = [(folder / name).read_bytes() for name in files]
    answers.put(work_through(bodies, first, rows, processes, ready))


def measure_limit(folder: Path, rows: int, processes: int) -> dict[str, float]:
    """Run the limit.

    Args:
        folder: a corpus.
        rows: how many images to process in all.
        processes: one a core.

    Returns:
        ``seconds`` from the first begin to the last end, ``cpu_seconds``, ``successes``.
    """
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes)
    answers: multiprocessing.SimpleQueue[tuple[float, float, float, int]] = context.SimpleQueue()
    workers = [
        context.Process(target=_process, args=(folder, first, rows, processes, ready, answers))
        for first in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    failed = [worker.exitcode for worker in workers if worker.exitcode]
    if failed:
        raise RuntimeError(f"{len(failed)} of {processes} processes of the limit failed")
    parts = [answers.get() for _ in workers]
    return {
        "seconds": max(part[1] for part in parts) - min(part[0] for part in parts),
        "cpu_seconds": sum(part[2] for part in parts),
        "successes": sum(part[3] for part in parts),
    }


def main() -> None:
    folder, rows, processes = sys.argv[1:]
    recipe = Path(folder).name
    if recipe not in RECIPES:
        raise SystemExit(f"{folder} is no corpus; run: python -m benchmarks.corpus")
    print(json.dumps(measure_limit(Path(folder), int(rows), int(processes))))


if __name__ == "__main__":
    main()

"""The training side: cached images in a DataLoader beside ImageFolder, and ``stream`` beside a dummy
download.

    python -m benchmarks.training [--rounds 3]

Both sides of a pair take turns, and the median of the rounds' ratios is reported, of throughput and of CPU:
what slows the machine for a minute slows both, and CPU also says it where others use the machine.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import DataLoader

from benchmarks import WORK
from benchmarks.corpus import WEB, make_corpus
from benchmarks.environments import make_authority
from benchmarks.servers import ADDRESSES, Nginx
from benchmarks.torchvision_folder import image_folder
from img2dataset import download
from img2dataset.training import ImageTextDataset, collate, stream

SIZE = 256
PASSES = 3  # over the corpus in one timing
ROWS = 3000  # of the stream
IMAGES: tuple[Literal["bytes", "array"], ...] = ("bytes", "array")


def one_pass(dataset: Any, collate_fn: Any = None) -> int:
    """Go through a dataset with two workers; returns how many images came."""
    loader = DataLoader(dataset, batch_size=32, num_workers=2, collate_fn=collate_fn)
    return sum(len(batch["img"] if isinstance(batch, dict) else batch[0]) for batch in loader)


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Images a second, and CPU milliseconds an image with those of ended child processes."""
    cpu, start = cpu_seconds(), time.perf_counter()
    images = run()
    seconds = time.perf_counter() - start
    return images / seconds, (cpu_seconds() - cpu) * 1000 / images


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compare(name: str, peer: Callable[[], int], own: dict[str, Callable[[], int]], rounds: int) -> None:
    """Run all in turn and print each with its ratio to ``peer``."""
    measured: dict[str, list[tuple[float, float]]] = {}
    for run_round in range(rounds + 1):
        for label, run in {name: peer, **own}.items():
            result = timed(run)
            if run_round:  # in the first one, files get into the page cache
                measured.setdefault(label, []).append(result)
    for label, results in measured.items():
        speed, cpu = (statistics.median(column) for column in zip(*results, strict=True))
        pairs = list(zip(results, measured[name], strict=True))
        faster = statistics.median(one[0] / other[0] for one, other in pairs)
        cheaper = statistics.median(one[1] / other[1] for one, other in pairs)
        print(
            f"{label:46} {speed:8.1f} images/s {faster:5.2f} x   {cpu:6.2f} ms of CPU {cheaper:5.2f} x",
            flush=True,
        )


def cached_against_folder(folder: Path, files: list[str], port: int, rounds: int) -> None:
    """``ImageTextDataset`` over a cache that has every image, beside ImageFolder over the files."""
    classes = WORK / "training" / "folder"
    shutil.rmtree(classes, ignore_errors=True)
    (classes / "photographs").mkdir(parents=True)
    for file in files:
        shutil.copy(folder / file, classes / "photographs" / file)
    cache = WORK / "training" / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    rows = [{"url": f"http://{ADDRESSES[0]}:{port}/{file}", "caption": "a photograph"} for file in files]
    peer, transform = image_folder(classes, SIZE, WORK / "environments")
    same = ImageTextDataset(rows, img_transform=transform, cache=cache)
    own = ImageTextDataset(rows, img_transform={"resize": [SIZE, SIZE], "center_crop": True}, cache=cache)
    one_pass(own, collate)  # the epoch that downloads
    compare(
        "torchvision's ImageFolder",
        lambda: sum(one_pass(peer) for _ in range(PASSES)),
        {
            "ImageTextDataset, cached, the same transform": lambda: sum(
                one_pass(same, collate) for _ in range(PASSES)
            ),
            "ImageTextDataset, cached, ImageTransform": lambda: sum(
                one_pass(own, collate) for _ in range(PASSES)
            ),
        },
        rounds,
    )


def stream_against_download(files: list[str], port: int, rounds: int) -> None:
    """``stream`` beside ``download`` in the format dummy, with as many processes."""
    addresses = itertools.cycle(ADDRESSES)
    urls = [f"http://{next(addresses)}:{port}/{files[n % len(files)]}?{n}" for n in range(ROWS)]
    listed = WORK / "training" / "list.txt"
    listed.write_text("\n".join(urls))
    options: dict[str, Any] = {"image_size": SIZE, "number_sample_per_shard": 500, "thread_count": 64}
    output = WORK / "training" / "dummy"

    def dummy(processes: int) -> int:
        shutil.rmtree(output, ignore_errors=True)
        return download(
            url_list=str(listed),
            output_folder=str(output),
            output_format="dummy",
            processes_count=processes,
            **options,
        ).successes

    def streamed(processes: int, image: Literal["bytes", "array"]) -> int:
        return sum(1 for _ in stream(str(listed), image=image, processes_count=processes, **options))

    for processes in (1, 2):
        compare(
            f"download, dummy, {processes} processes",
            partial(dummy, processes),
            {
                f"stream, {processes} processes, {image}": partial(streamed, processes, image)
                for image in IMAGES
            },
            rounds,
        )


def filling_against_download(files: list[str], port: int, rounds: int) -> None:
    """The first epoch over a new cache, with two workers, beside ``download`` with two processes."""
    addresses = itertools.cycle(ADDRESSES)
    urls = [f"http://{next(addresses)}:{port}/{files[n % len(files)]}?{n}" for n in range(ROWS)]
    listed = WORK / "training" / "list.txt"
    listed.write_text("\n".join(urls))
    output, cache = WORK / "training" / "dummy", WORK / "training" / "new_cache"

    def downloaded() -> int:
        shutil.rmtree(output, ignore_errors=True)
        return download(
            url_list=str(listed), output_folder=str(output), image_size=SIZE, processes_count=2
        ).successes

    def filled() -> int:
        shutil.rmtree(cache, ignore_errors=True)
        rows = [{"url": url, "caption": "a photograph"} for url in urls]
        own = ImageTextDataset(rows, img_transform={"resize": [SIZE, SIZE], "center_crop": True}, cache=cache)
        return sum(len(batch["index"]) for batch in DataLoader(own, 64, num_workers=2, collate_fn=collate))

    compare("download, files", downloaded, {"ImageTextDataset, filling its cache": filled}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = WORK / "corpus" / WEB.name
    files: list[str] = make_corpus(WEB, folder, WORK / "photographs")["files"]
    (WORK / "training").mkdir(parents=True, exist_ok=True)
    _bundle, certificate = make_authority(WORK / "authority")
    nginx = Nginx(WORK / "servers" / "training", folder, certificate)
    try:
        cached_against_folder(folder, files, nginx.http_port, arguments.rounds)
        stream_against_download(files, nginx.http_port, arguments.rounds)
        filling_against_download(files, nginx.http_port, arguments.rounds)
    finally:
        nginx.close()


if __name__ == "__main__":
    sys.exit(main())

"""Loaders of training beside each other: 2,000 JPEGs of 256 pixels, three epochs, two workers, in turn.

    python -m benchmarks.loaders [--rounds 3]

Each to float32 tensors of batches of 32: a folder by Pillow, Hugging Face datasets, webdataset, litData,
MosaicML streaming, and this project's list and tars. CPU is that of an epoch, workers included; memory the
peak of all processes (PSS). They share an environment that is made once; the images are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from PIL import Image

from benchmarks import HERE, WORK
from benchmarks.corpus import WEB, make_corpus
from benchmarks.environments import make_environment
from benchmarks.machine import describe_machine, load_warning
from benchmarks.process_tree import measure

IMAGES, SIZE, EPOCHS = 2000, 256, 3
PACKAGES = "datasets litdata webdataset"
# It asks for older versions of what the others need, and for the packages of every store. Without them it
# needs these to be imported, and a local folder no more.
MOSAICML = "mosaicml-streaming==0.13.0"
OF_MOSAICML = "transformers catalogue xxhash zstd python-snappy Brotli torchvision boto3 paramiko"
# In the order of the table; those of ``loader_process.LOADERS``.
LOADERS = (
    "PIL, a folder",
    "Hugging Face datasets",
    "webdataset",
    "litData",
    "MosaicML streaming",
    "ImageTextDataset, a list",
    "TarStream",
)


def environment(root: Path) -> Path:
    """The interpreter of an environment with all of them, and this checkout."""
    folder = WORK / "environments" / "loaders"
    python = make_environment(folder, "torch==2.13.0", sys.executable)
    done = folder / ".loaders"
    if not done.exists():
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES.split()]
        subprocess.run([*install, "--no-deps", MOSAICML], check=True)
        subprocess.run([*install, *OF_MOSAICML.split()], check=True)
        subprocess.run([*install, "--editable", f"{root}[training]"], check=True)
        done.touch()
    return python


def prepare(python: Path, process: Path) -> Path:
    """The images, squares of 256 pixels, and every format of them; made once."""
    folder = WORK / "loaders"
    if not (folder / "done").exists():
        corpus = WORK / "corpus" / WEB.name
        files = make_corpus(WEB, corpus, WORK / "photographs")["files"]
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for number in range(IMAGES):
            with Image.open(corpus / files[number % len(files)]) as image:
                small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
            small.save(folder / "images" / f"{number:06d}.jpg", quality=95)
        subprocess.run([str(python), str(process), "prepare", str(folder), "0"], check=True)
        (folder / "done").touch()
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loaders", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    chosen = parser.parse_args()
    warning = load_warning()
    process = HERE / "loader_process.py"
    python = environment(HERE.parent)
    folder = prepare(python, process)
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in LOADERS}
    for number in range(chosen.rounds):
        for name in LOADERS[:: -1 if number % 2 else 1]:
            log = WORK / "loaders.log"
            usage = measure([str(python), str(process), name, str(folder), str(EPOCHS)], log)
            if usage.exit_status:
                raise RuntimeError(f"{name}: {log.read_text()[-2000:]}")
            epochs = json.loads(log.read_text().strip().splitlines()[-1])
            assert [samples for samples, _ in epochs] == [IMAGES] * EPOCHS, (name, epochs)
            found[name].append((statistics.median(cpu for _, cpu in epochs), usage.peak_pss))
            print(f"{name:26} {found[name][-1][0]:5.2f} ms of CPU a sample", flush=True)
    print(f"\n{describe_machine()}; medians of {chosen.rounds} rounds of {EPOCHS} epochs")
    if warning:
        print(f"Caution: {warning}.")
    print("\n| loader | CPU a sample | memory |\n| --- | ---: | ---: |")
    for name, runs in found.items():
        cpu, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {cpu:.2f} ms | {memory / 1e6:.0f} MB |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Corpora of photographs to be served: web-like sizes, and 3000 px. Made once, the same on every machine.

``run.py`` and ``memory.py`` call ``make_corpus``. An image is a cut of one photograph, or, where none is
large enough, a mosaic of cuts side by side. Cuts are only ever scaled down (to between 70 and 100 %), so
that detail goes down to the pixel as in a photograph straight from a camera; enlarged photographs would be
soft, small in bytes and cheap to decode. The seams of a mosaic touch about 3 % of its 8 x 8 blocks.

    python -m benchmarks.corpus        makes both and says what is in them
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import WORK
from benchmarks.photographs import fetch_photographs, open_photographs

Box = tuple[int, int, int, int]  # left, top, right, bottom
VERSION = 3  # of the recipe: a corpus of another version is made again


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of; sizes are of the longer side, in pixels.

    Long sides are log-normal with ``median_side`` and ``spread`` (0: all the same), within ``smallest`` and
    ``largest``. ``qualities`` are drawn evenly. One JPEG in three is progressive, one in five 4:4:4.
    """

    name: str
    count: int
    median_side: int
    spread: float
    smallest: int
    largest: int
    qualities: tuple[int, ...]
    jpeg_share: float
    webp_share: float


# 140 KB on average; the rest of the web corpus, 4 %, is PNG, which the web uses for its smaller pictures.
WEB = Recipe("web", 600, 720, 0.42, 200, 2000, (75, 75, 80, 85, 90, 90), 0.90, 0.06)
PHOTOGRAPHS_3000 = Recipe("photographs-3000", 48, 3000, 0.0, 3000, 3000, (75, 80, 85, 90), 1.0, 0.0)
RECIPES = {recipe.name: recipe for recipe in (WEB, PHOTOGRAPHS_3000)}
PNG_LARGEST = 640
ASPECT_RATIOS = (1.0, 1.25, 4 / 3, 4 / 3, 1.5, 1.5, 1.5, 16 / 9)


def make_corpus(recipe: Recipe, folder: Path, photographs_folder: Path) -> dict[str, Any]:
    """Make the corpus of ``recipe`` in ``folder`` unless it is there.

    Returns:
        What is in it: ``files`` (names, in order), ``average_bytes``, ``progressive`` (share of the JPEGs) …

    Raises:
        RuntimeError: the photographs cannot be downloaded.
    """
    description = folder / "corpus.json"
    if description.exists():
        made: dict[str, Any] = json.loads(description.read_text())
        if made["version"] == VERSION and made["recipe"] == json.loads(json.dumps(asdict(recipe))):
            return made
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    paths = fetch_photographs(photographs_folder)
    indexes = range(recipe.count)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_keep_photographs, initargs=(paths,)) as pool:
        entries = list(pool.map(_make_image, [recipe] * recipe.count, indexes, [folder] * recipe.count))
    made = {"version": VERSION, "recipe": asdict(recipe), **describe(entries)}
    made["files"] = [entry["file"] for entry in entries]
    description.write_text(json.dumps(made, indent=1))
    return made


def describe(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures that say what a corpus is like: bytes, pixels, formats."""
    jpegs = [entry for entry in entries if entry["file"].endswith(".jpg")]
    return {
        "count": len(entries),
        "average_bytes": round(statistics.fmean(entry["bytes"] for entry in entries)),
        "average_megapixels": round(statistics.fmean(entry["pixels"] for entry in entries) / 1e6, 3),
        "median_long_side": statistics.median(entry["long_side"] for entry in entries),
        "jpeg": round(len(jpegs) / len(entries), 3),
        "progressive": round(sum(entry["progressive"] for entry in jpegs) / len(jpegs), 3) if jpegs else 0.0,
    }


_photographs: list[Image.Image] = []


def _keep_photographs(paths: list[Path]) -> None:
    _photographs[:] = open_photographs(paths)


def _make_image(recipe: Recipe, index: int, folder: Path) -> dict[str, Any]:
    """Compose and save the ``index``-th image; returns its entry for ``describe``."""
    rng = random.Random(f"{recipe.name} {index}")
    extension = draw_extension(rng, recipe)
    size = draw_size(rng, recipe, PNG_LARGEST if extension == "png" else recipe.largest)
    image = compose(rng, size, _photographs)
    path = folder / f"{index:05d}.{extension}"
    quality = rng.choice(recipe.qualities)
    # Three in order, not by chance: with 48 images chance would be far from a third.
    progressive = extension == "jpg" and index % 3 == 2
    if extension == "jpg":
        subsampling = "4:4:4" if rng.random() < 0.2 else "4:2:0"
        image.save(path, quality=quality, progressive=progressive, subsampling=subsampling, optimize=True)
    elif extension == "webp":
        image.save(path, quality=quality)
    else:
        image.save(path, compress_level=6)
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "pixels": size[0] * size[1],
        "long_side": max(size),
        "progressive": progressive,
    }


def draw_extension(rng: random.Random, recipe: Recipe) -> str:
    """The format of an image: jpg, webp or png, in the recipe's shares."""
    drawn = rng.random()
    if drawn < recipe.jpeg_share:
        return "jpg"
    return "webp" if drawn < recipe.jpeg_share + recipe.webp_share else "png"


def draw_size(rng: random.Random, recipe: Recipe, largest: int) -> tuple[int, int]:
    """Width and height of an image: log-normal long side, a usual aspect ratio, a quarter upright."""
    long_side = round(rng.lognormvariate(math.log(recipe.median_side), recipe.spread))
    long_side = min(max(long_side, recipe.smallest), largest)
    short_side = round(long_side / rng.choice(ASPECT_RATIOS))
    return (short_side, long_side) if rng.random() < 0.25 else (long_side, short_side)


def compose(rng: random.Random, size: tuple[int, int], photographs: list[Image.Image]) -> Image.Image:
    """An image of ``size``, every pixel of it from a photograph at 70 to 100 % of its size."""
    image = Image.new("RGB", size)
    sizes = [each.size for each in photographs]
    enough = min(rng.randint(2, 6), len(photographs))
    for box in split(rng, (0, 0, *size), sizes, enough):
        image.paste(_cut(rng, box[2] - box[0], box[3] - box[1], photographs), box[:2])
    return image


def split(rng: random.Random, box: Box, sizes: list[tuple[int, int]], enough: int) -> list[Box]:
    """Cut ``box`` in two, near the middle of its longer side, until ``enough`` of ``sizes`` can fill each."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if len(_fitting(width, height, sizes)) >= enough:
        return [box]
    share = rng.uniform(0.4, 0.6)
    if width >= height:
        middle = left + round(width * share)
        halves: list[Box] = [(left, top, middle, bottom), (middle, top, right, bottom)]
    else:
        middle = top + round(height * share)
        halves = [(left, top, right, middle), (left, middle, right, bottom)]
    return [part for half in halves for part in split(rng, half, sizes, enough)]


def _fitting(width: float, height: float, sizes: list[tuple[int, int]]) -> list[int]:
    return [index for index, each in enumerate(sizes) if each[0] >= width and each[1] >= height]


def _cut(rng: random.Random, width: int, height: int, photographs: list[Image.Image]) -> Image.Image:
    """A piece of ``width`` by ``height`` of a photograph that is large enough for it."""
    sizes = [each.size for each in photographs]
    scale = rng.uniform(0.7, 1.0)
    fitting = _fitting(width / scale, height / scale, sizes)
    if not fitting:
        scale = 1.0
        fitting = _fitting(width, height, sizes)
    photograph = photographs[rng.choice(fitting)]
    cut_width, cut_height = width / scale, height / scale
    left = rng.uniform(0, photograph.width - cut_width)
    top = rng.uniform(0, photograph.height - cut_height)
    if scale == 1.0:
        cut = photograph.crop((int(left), int(top), int(left) + width, int(top) + height))
    else:
        box = (left, top, left + cut_width, top + cut_height)
        cut = photograph.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else cut


def main() -> None:
    for recipe in RECIPES.values():
        made = make_corpus(recipe, WORK / "corpus" / recipe.name, WORK / "photographs")
        print(recipe.name, {key: value for key, value in made.items() if key not in ("recipe", "files")})


if __name__ == "__main__":
    main()

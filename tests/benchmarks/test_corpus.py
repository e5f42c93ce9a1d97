"""The corpora: sizes, formats and mosaics are drawn as the recipe says, the same every time."""

from __future__ import annotations

import random
import statistics

from PIL import Image

from benchmarks.corpus import PHOTOGRAPHS_3000, WEB, compose, describe, draw_extension, draw_size, split

SIZES = [(512, 512), (640, 427), (741, 500), (300, 451), (1000, 872)]


def test_web_sizes_are_spread_around_720_pixels() -> None:
    rng = random.Random(1)
    sides = [max(draw_size(rng, WEB, WEB.largest)) for _ in range(4000)]
    assert 690 < statistics.median(sides) < 750
    assert 200 <= min(sides) < 300
    assert 1500 < max(sides) <= 2000


def test_the_large_photographs_have_3000_pixels() -> None:
    rng = random.Random(1)
    assert {max(draw_size(rng, PHOTOGRAPHS_3000, 3000)) for _ in range(50)} == {3000}


def test_nine_in_ten_web_images_are_jpeg() -> None:
    rng = random.Random(1)
    drawn = [draw_extension(rng, WEB) for _ in range(4000)]
    assert 0.88 < drawn.count("jpg") / 4000 < 0.92
    assert 0 < drawn.count("png") < drawn.count("webp")


def test_the_parts_of_a_mosaic_fill_it_and_fit_the_photographs() -> None:
    parts = split(random.Random(1), (0, 0, 3000, 2000), SIZES, enough=3)
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in parts) == 3000 * 2000
    for left, top, right, bottom in parts:
        fitting = [size for size in SIZES if size[0] >= right - left and size[1] >= bottom - top]
        assert len(fitting) >= 3


def test_an_image_that_photographs_can_fill_is_not_a_mosaic() -> None:
    assert split(random.Random(1), (0, 0, 400, 300), SIZES, enough=3) == [(0, 0, 400, 300)]


def test_a_composition_has_photograph_everywhere_and_is_the_same_again() -> None:
    photographs = [Image.new("RGB", (640, 500), colour) for colour in ("red", "white", "orange")]
    first = compose(random.Random("1"), (1500, 900), photographs)
    again = compose(random.Random("1"), (1500, 900), photographs)
    assert first.tobytes() == again.tobytes()
    darkest_red, _ = first.getchannel("R").getextrema()
    assert darkest_red == 255  # nothing is left of the black canvas


def test_a_corpus_is_described_by_its_files() -> None:
    entries = [
        {"file": "0.jpg", "bytes": 100, "pixels": 2_000_000, "long_side": 2000, "progressive": True},
        {"file": "1.jpg", "bytes": 200, "pixels": 1_000_000, "long_side": 1000, "progressive": False},
        {"file": "2.png", "bytes": 600, "pixels": 3_000_000, "long_side": 3000, "progressive": False},
    ]
    described = describe(entries)
    assert described["average_bytes"] == 300
    assert described["average_megapixels"] == 2.0
    assert described["median_long_side"] == 2000
    assert (described["jpeg"], described["progressive"]) == (0.667, 0.5)

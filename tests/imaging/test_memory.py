"""What decoding takes in memory is known from the header, bounded, and taken in turn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageFailure, ImageProcessor, memory
from img2dataset.imaging.header import read_header
from img2dataset.imaging.memory import LARGE_BYTES, decoding_bytes, most_bytes
from img2dataset.options import ImageOptions
from tests.imaging.odd_files import png, saved
from tests.own_peak import with_own_peak
from tests.pictures import photograph

SIDE = 2000
MEGABYTE = 1_000_000
PLAIN = Image.new("RGB", (SIDE, SIDE), (10, 120, 200))
KINDS: dict[str, Callable[[], bytes]] = {
    "colour png": lambda: saved(PLAIN, "PNG"),
    "alpha png": lambda: saved(PLAIN.convert("RGBA"), "PNG"),
    "palette png": lambda: saved(PLAIN.convert("P"), "PNG"),
    "16-bit colour png": lambda: png([bytes(6 * SIDE)] * SIDE, SIDE, 16, 2),
    "jpeg": lambda: saved(PLAIN, "JPEG"),
    "progressive jpeg, 4:4:4": lambda: saved(PLAIN, "JPEG", progressive=True, subsampling=0),
    "alpha webp": lambda: saved(PLAIN.convert("RGBA"), "WEBP"),
    "jpeg 2000": lambda: saved(PLAIN, "JPEG2000"),
    "avif": lambda: saved(PLAIN, "AVIF", speed=10),
    "lzw tiff": lambda: saved(PLAIN, "TIFF", compression="tiff_lzw", strip_size=1 << 30),
    "gif": lambda: saved(PLAIN.convert("P"), "GIF"),
}
# In a process of its own: the peak of one that has done other things says nothing.
MEASURE = """
import resource, sys
from pathlib import Path
from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions
process = ImageProcessor(ImageOptions(exact_resize=True))
process(Path(sys.argv[2]).read_bytes())
body = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
process(body)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize("name", KINDS)
def test_decoding_takes_no_more_memory_than_the_header_foretells(name: str, tmp_path: Path) -> None:
    body = KINDS[name]()
    (tmp_path / "image").write_bytes(body)
    small = saved(PLAIN.resize((20, 20)), "PNG")
    (tmp_path / "small").write_bytes(small)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "image"), str(tmp_path / "small")]
    ended = subprocess.run(with_own_peak(command), capture_output=True, text=True, check=True, timeout=240)
    foretold = decoding_bytes(body, read_header(body), shrunk=False)
    # What libraries load on their first image of a kind.
    assert int(ended.stdout) <= foretold + 16 * MEGABYTE


@pytest.mark.parametrize("name", ["jpeg 2000", "alpha png", "16-bit colour png", "alpha webp", "gif"])
def test_what_takes_more_memory_than_plain_pixels_is_refused_earlier(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_USUAL_BUDGET", 0.0)
    settings = ImageOptions(max_decoded_pixels=SIDE * SIDE, image_size=64, exact_resize=True)
    with pytest.raises(ImageFailure, match="too large: pixels"):
        ImageProcessor(settings)(KINDS[name]())
    ImageProcessor(settings)(KINDS["colour png"]())
    ImageProcessor(replace(settings, max_decoded_pixels=8 * SIDE * SIDE))(KINDS[name]())


def test_a_large_jpeg_is_refused_only_where_it_is_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_USUAL_BUDGET", 0.0)
    body = saved(PLAIN, "JPEG", progressive=True)
    fast = ImageOptions(max_decoded_pixels=SIDE * SIDE, image_size=64, exact_resize=False)
    assert ImageProcessor(fast)(body).width == 64
    damaged = body[: len(body) // 2] + b"\xff\xe5\0\2" + body[len(body) // 2 :]
    for settings, file in ((fast, damaged), (replace(fast, exact_resize=True), body)):
        with pytest.raises(ImageFailure, match="too large: pixels"):
            ImageProcessor(settings)(file)


def test_the_budget_grows_with_the_pixels_that_are_allowed_and_does_not_shrink() -> None:
    assert most_bytes(200_000_000) == most_bytes(20_000) == 640_000_000
    assert most_bytes(400_000_000) == 1_280_000_000
    body = KINDS["jpeg 2000"]()
    assert (
        ImageProcessor(ImageOptions(max_decoded_pixels=SIDE * SIDE, image_size=64, exact_resize=True))(
            body
        ).width
        == 64
    )


def test_large_images_are_decoded_in_turn_and_others_are_not() -> None:
    turns = []

    @contextmanager
    def turn() -> Iterator[None]:
        turns.append("begun")
        yield
        turns.append("ended")

    process = ImageProcessor(ImageOptions(image_size=64, exact_resize=True), in_turn=turn)
    process(photograph(640, 480, 1))
    process(KINDS["colour png"]())
    assert turns == []
    process(KINDS["jpeg 2000"]())
    assert turns == ["begun", "ended"]
    cut = KINDS["jpeg 2000"]()[:-30]
    with pytest.raises(ImageFailure):
        process(cut)
    assert turns == ["begun", "ended"] * 2 or turns == ["begun", "ended", "begun"]
    assert decoding_bytes(cut, read_header(cut), False) > LARGE_BYTES


def test_alpha_is_composed_in_bands_to_the_same_pixels() -> None:
    from img2dataset.imaging import colour

    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (999, 1001, 4), np.uint8)
    assert pixels.size > 4 * colour._BAND_PIXELS
    share = pixels[:, :, 3:] / 255.0
    expected = np.floor(pixels[:, :, :3] * share + 255 * (1 - share) + 0.4999)
    assert np.abs(colour.on_white(pixels).astype(int) - expected).max() <= 1
    assert np.array_equal(colour.on_white(pixels)[:5], colour.on_white(pixels[:5]))

"""The shrinking decoder: near what OpenCV makes of all pixels, or not at all; whatever the bytes say.

Bounds in dB are what was measured over these pictures, less one or two.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging.header import read_header
from img2dataset.imaging.native import JpegRequest, native_library
from img2dataset.imaging.reduction import Shortcuts, jpeg_shortcuts
from img2dataset.imaging.shrinking import can_shrink, shrink_jpeg
from tests.imaging.odd_files import Pixels, psnr, saved, stored, with_orientation
from tests.pictures import photograph_pixels

# Odd sides, so that blocks, MCUs and the samples of colours all end outside of the picture.
WIDTH, HEIGHT = 701, 523
TIMES = (1.0, 1.01, 1.3, 1.7, 2.0, 2.5, 3.3, 4.0, 5.5, 7.3, 8.0, 11.0, 16.0, 22.0, 25.0)
SAMPLINGS = {"4:4:4": 0x111111, "4:2:2": 0x211111, "4:2:0": 0x221111, "4:1:1": 0x411111, "4:4:0": 0x121111}
FLAGS = (cv2.IMWRITE_JPEG_QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE)

# No shortcut.
WHOLE = Shortcuts()


@cache
def jpeg(
    sampling: str = "4:2:0", progressive: bool = False, restart: int = 0, optimize: bool = False
) -> bytes:
    pixels = photograph_pixels(WIDTH, HEIGHT, 3)
    options = [
        value for pair in zip(FLAGS, (85, int(progressive), int(optimize)), strict=True) for value in pair
    ]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    if sampling == "grey":
        pixels = pixels[:, :, 1]
    else:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling]]
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


def target(times: float, width: int = WIDTH, height: int = HEIGHT) -> tuple[int, int]:
    return max(1, round(width / times)), max(1, round(height / times))


def shrunk(body: bytes, size: tuple[int, int], shortcuts: Shortcuts = WHOLE) -> Pixels:
    pixels = shrink_jpeg(body, read_header(body), size, shortcuts)
    assert pixels is not None
    return pixels


def of_opencv(body: bytes, size: tuple[int, int]) -> Pixels:
    """All pixels, then the mean over the area of each."""
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    return pixels if size == pixels.shape[1::-1] else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def test_the_library_is_there() -> None:
    assert can_shrink()


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey"])
def test_what_is_wholly_decoded_is_51_db_from_opencv_and_more_the_smaller_it_gets(
    sampling, progressive
) -> None:
    body = jpeg(sampling, progressive)
    for times in TIMES:
        bound = 51 if times < 1.3 else 52 if times < 4 else 54
        assert psnr(shrunk(body, target(times)), of_opencv(body, target(times))) > bound, times


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey"])
def test_with_the_shortcuts_of_a_download_it_is_50_db_and_42_of_a_progressive_file(
    sampling, progressive
) -> None:
    body = jpeg(sampling, progressive)
    for times in TIMES:
        size = target(times)
        pixels = shrunk(body, size, jpeg_shortcuts((WIDTH, HEIGHT), size))
        assert psnr(pixels, of_opencv(body, size)) > (42 if progressive else 50), times


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("options", [{"restart": 1}, {"restart": 7}, {"optimize": True}], ids=str)
def test_restart_marks_and_optimised_tables_change_no_pixel(options, progressive) -> None:
    plain, other = jpeg("4:2:0", progressive), jpeg("4:2:0", progressive, **options)
    assert plain != other or (progressive and "optimize" in options)
    assert np.array_equal(shrunk(plain, target(3.3)), shrunk(other, target(3.3)))


@pytest.mark.parametrize("times", [1.0, 2.5, 8.0])
def test_a_progressive_file_and_a_sequential_one_of_the_same_coefficients_give_the_same_pixels(times) -> None:
    assert np.array_equal(shrunk(jpeg(), target(times)), shrunk(jpeg(progressive=True), target(times)))


@pytest.mark.parametrize(
    ("shortcuts", "times", "bound"),
    [
        (Shortcuts(without_last_luma_refinement=True), 1.8, 47),
        (Shortcuts(without_refinements=True), 3.0, 42),
        (Shortcuts(without_refinements=True, without_high_luma=True, reduction=4), 11.0, 48),
        (Shortcuts(reduction=2), 5.5, 55),
        (Shortcuts(reduction=4), 11.0, 55),
        (Shortcuts(reduction=8), 22.0, 53),
    ],
)
def test_each_shortcut_costs_what_is_said_of_it(shortcuts, times, bound) -> None:
    body = jpeg(progressive=True)
    assert psnr(shrunk(body, target(times), shortcuts), of_opencv(body, target(times))) > bound


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 50), (50, 1), (7, 9), (8, 8), (16, 16), (17, 33), (65500, 1), (1, 65500)],
)
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_sizes_of_any_shape_are_shrunk(width, height, progressive) -> None:
    body = saved(photograph_pixels(64, 64, 1), "PNG")
    with Image.open(io.BytesIO(body)) as picture:
        body = saved(picture.resize((width, height)), "JPEG", quality=90, progressive=progressive)
    for times in (1, 2, 3, 7, 25):
        size = target(times, width, height)
        pixels = shrunk(body, size)
        assert pixels.shape == (size[1], size[0], 3)
        assert psnr(pixels, of_opencv(body, size)) > 45


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay_what_they_are_and_are_off_by_one_level_of_means_of_100000_pixels(level) -> None:
    body = saved(np.full((1024, 1024, 3), level, np.uint8), "JPEG", quality=95)
    for side in (1024, 1000, 300, 100, 40):
        shortcuts = jpeg_shortcuts((1024, 1024), (side, side))
        assert (shrunk(body, (side, side), shortcuts) == level).all()
    for side in (1, 2, 3):
        pixels = shrunk(body, (side, side), Shortcuts(reduction=8)).astype(int)
        assert np.abs(pixels - level).max() <= 1


def test_grey_files_have_one_channel() -> None:
    assert shrunk(jpeg("grey"), (70, 52)).shape == (52, 70)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_shrunk_upright_through_the_processor(orientation) -> None:
    body = saved(photograph_pixels(300, 200, 2), "JPEG", quality=90, exif=with_orientation(orientation))
    settings: dict[str, Any] = {"image_size": 90, "resize_mode": "keep_ratio_largest"}
    fast, exact = (stored(body, exact_resize=exactly, **settings) for exactly in (False, True))
    assert fast.shape == ((60, 90, 3) if orientation < 5 else (90, 60, 3))
    assert psnr(fast, exact) > 45


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey"])
def test_every_processor_gets_the_same_pixels(sampling, progressive) -> None:
    processor = Path("/proc/cpuinfo")
    if not processor.exists() or "avx2" not in processor.read_text(encoding="utf-8").split():
        pytest.skip("this processor has one of them only")
    library = native_library()
    assert library is not None
    body = jpeg(sampling, progressive)
    grey = sampling == "grey"
    for times in (1.0, 3.3, 8.0, 25.0):
        for reduction in (1, 2, 4, 8):
            width, height = target(times)
            results = []
            for function in (library.shrink_any, library.shrink_avx2):
                function.argtypes = library.shrink_jpeg.argtypes
                pixels = np.zeros((height, width) if grey else (height, width, 3), np.uint8)
                place = np.frombuffer(body, np.uint8).ctypes.data
                numbers = WIDTH, HEIGHT, width, height, reduction, max(1, reduction // 2), 8 * grey
                request = JpegRequest(place, len(body), pixels.ctypes.data, *numbers)
                assert function(request) == 0
                results.append(pixels)
            assert np.array_equal(*results)


def test_threads_may_shrink_at_once() -> None:
    bodies = [jpeg(sampling, progressive) for sampling in SAMPLINGS for progressive in (False, True)]
    alone = [shrunk(body, target(4.0)) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda body: shrunk(body, target(4.0)), bodies * 8))
    assert all(np.array_equal(pixels, alone[place % len(alone)]) for place, pixels in enumerate(together))

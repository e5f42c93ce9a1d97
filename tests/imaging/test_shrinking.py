"""The shrinking decoder: near what OpenCV makes of all pixels, or not at all; whatever the bytes say.

Bounds in dB are what was measured over these pictures, less one or two.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fuzzing import native, native_seeds
from img2dataset.imaging import ImageFailure
from img2dataset.imaging.decode import decode
from img2dataset.imaging.header import read_header
from img2dataset.imaging.native import native_library
from img2dataset.imaging.reduction import Shortcuts, jpeg_shortcuts, usual_reduction
from img2dataset.imaging.resize import reduce_in_steps
from img2dataset.imaging.shrinking import can_shrink, shrink_jpeg
from tests.imaging import hand_made_jpegs as made
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


def not_taken(body: bytes, size: tuple[int, int] = (8, 8)) -> bool:
    return shrink_jpeg(body, read_header(body), size, WHOLE) is None


def outcome(body: bytes, exactly: bool, side: int) -> Pixels | str:
    """What is stored of the file, or the message it fails with."""
    try:
        return stored(body, image_size=side, resize_mode="keep_ratio_largest", exact_resize=exactly)
    except ImageFailure as reason:
        return reason.message


def alike(one: Pixels | str, other: Pixels | str) -> bool:
    """The same failure, or nearly the same picture."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return psnr(one, other) > 40


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
        (Shortcuts(without_last_luma_refinement=True), 1.8, 46),
        (Shortcuts(without_refinements=True), 3.0, 40),
        (Shortcuts(without_refinements=True, without_high_luma=True, reduction=4), 11.0, 46),
        (Shortcuts(reduction=2), 5.5, 53),
        (Shortcuts(reduction=4), 11.0, 54),
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
def test_the_two_variants_differ_by_one_level_at_most(sampling, progressive) -> None:
    if " avx2 " not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
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
                assert function(place, len(body), *numbers, pixels.ctypes.data) == 0
                results.append(pixels.astype(int))
            assert np.abs(results[0] - results[1]).max() <= 1


def test_threads_may_shrink_at_once() -> None:
    bodies = [jpeg(sampling, progressive) for sampling in SAMPLINGS for progressive in (False, True)]
    alone = [shrunk(body, target(4.0)) for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda body: shrunk(body, target(4.0)), bodies * 8))
    assert all(np.array_equal(pixels, alone[place % len(alone)]) for place, pixels in enumerate(together))


def in_scans_apart() -> bytes:
    planes = [photograph_pixels(97, 61, seed)[:, :, 1] for seed in range(3)]
    return made.scans_apart([saved(plane, "JPEG", quality=80) for plane in planes])


def with_height_at_the_end() -> bytes:
    body = saved(photograph_pixels(97, 61, 3), "JPEG")
    return body[:-2] + made.segment(0xDC, b"\0\x3d") + made.END


def without_a_restart_mark() -> bytes:
    body = saved(photograph_pixels(97, 61, 3), "JPEG", restart_marker_rows=1)
    return body.replace(b"\xff\xd1", b"", 1)


# What is refused, and given to the decoder of every other image.
OTHERS = {
    "ink": lambda: saved(Image.fromarray(photograph_pixels(97, 61, 3)).convert("CMYK"), "JPEG"),
    "RGB": lambda: saved(photograph_pixels(97, 61, 3), "JPEG", keep_rgb=True),
    "several scans of a sequential file": in_scans_apart,
    "a height at the end": with_height_at_the_end,
    "a restart mark that is missing": without_a_restart_mark,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_understood_is_left_to_the_usual_decoder(name) -> None:
    body = OTHERS[name]()
    header = read_header(body)
    assert not_taken(body)
    size, small = (header.width, header.height), (48, 30)
    reduction = 0 if name == "ink" else usual_reduction(size, small)
    usual = reduce_in_steps(decode(body, header, False, reduction).pixels, small)
    mine = stored(body, image_size=48, resize_mode="keep_ratio_largest", exact_resize=False)
    assert np.array_equal(mine, usual[:, :, ::-1])


def with_frame(marker: int, bits: int = 8) -> bytes:
    """A small file that says it were of another process, or has another number of bits."""
    body = bytearray(saved(photograph_pixels(97, 61, 3), "JPEG"))
    at = body.index(b"\xff\xc0")
    body[at + 1], body[at + 4] = marker, bits
    return bytes(body)


DAMAGED = {
    "12 bits": lambda: with_frame(0xC1, 12),
    "arithmetic": lambda: with_frame(0xC9),
    "lossless": lambda: with_frame(0xC3),
    "hierarchical": lambda: with_frame(0xC5),
    "a table that is missing": lambda: saved(photograph_pixels(97, 61, 3), "JPEG").replace(
        b"\xff\xc4", b"\xff\xe4"
    ),
    "cut": lambda: jpeg()[:20_000],
    "progressive and cut": lambda: jpeg(progressive=True)[:20_000],
    "cut and ended": lambda: jpeg()[:20_000] + made.END,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_decoded_fails_as_it_does_with_exact_resize(name) -> None:
    body = DAMAGED[name]()
    assert not_taken(body)
    assert alike(outcome(body, False, 48), outcome(body, True, 48))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_a_scan_with_wrong_bits_gives_the_same_failure_or_the_same_damaged_picture(options, seed) -> None:
    random = np.random.default_rng(seed)
    body = bytearray(saved(photograph_pixels(300, 225, seed % 3), "JPEG", quality=85, **options))
    scan = body.index(b"\xff\xda") + 20
    for place in random.integers(scan, len(body) - 2, 2):
        body[place] ^= 1 << int(random.integers(8))
    assert alike(outcome(bytes(body), False, 96), outcome(bytes(body), True, 96))


def test_a_header_that_says_other_channels_or_sizes_than_the_file_is_refused() -> None:
    """The result would not fit the room that was made for it."""
    for sampling in ("4:2:0", "grey"):
        body = jpeg(sampling)
        header = read_header(body)
        for other in (
            replace(header, grey=not header.grey),
            replace(header, width=header.width + 1),
            replace(header, height=header.height - 1),
        ):
            assert shrink_jpeg(body, other, (10, 10), WHOLE) is None
        for size in ((WIDTH + 1, HEIGHT), (WIDTH, HEIGHT + 1), (WIDTH, 0), (0, HEIGHT)):
            assert shrink_jpeg(body, header, size, WHOLE) is None
        assert shrink_jpeg(body, header, (10, 10), Shortcuts(reduction=3)) is None


def hostile() -> dict[str, bytes]:
    """What once broke a promise: a conversion that C leaves undefined, 431 MB of memory for 158 bytes."""
    three = [0x11] * 3
    tables = made.quantisation() + made.one_symbol(False, 0) + made.one_symbol(True, 0xE0)
    huge = made.START + tables + made.frame(0xC2, 14142, 14142, three)
    runs = ("0" + "1" * 14) * 96
    return {
        "samples beyond any integer": made.grey(320, 8, ["0" + "1" * 11 + "0"] * 40, step=32767, dc=11),
        "samples below any integer": made.grey(320, 8, ["0" + "0" * 11 + "0"] * 40, step=32767, dc=11),
        "200 megapixels in 158 bytes": huge + made.scan([1, 2, 3], 0, 0, 0, 0, "0" * 64) + made.END,
        "65500 pixels a side": made.START
        + tables
        + made.frame(0xC0, 65500, 65500, [0x22, 0x11, 0x11])
        + made.scan([1, 2, 3], 0, 63, 0, 0, "0" * 64)
        + made.END,
        "runs before any mean": huge + made.scan([1], 1, 63, 0, 13, runs) + made.END,
        "64 scans": made.START
        + tables
        + made.frame(0xC2, 512, 512)
        + made.scan([1], 0, 0, 0, 0, "0" * 4096)
        + made.scan([1], 1, 63, 0, 1, "0" + "1" * 14) * 63
        + made.END,
    }


# Whether the decoder takes it, which it may.
HOSTILE = {name: name.startswith("samples") for name in hostile()}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_or_shrunk(name) -> None:
    body = hostile()[name]
    header = read_header(body)
    size = max(1, header.width // 32), max(1, header.height // 32)
    for reduction in (1, 2, 4, 8):
        pixels = shrink_jpeg(body, header, size, Shortcuts(reduction=reduction))
        assert (pixels is not None) == HOSTILE[name]


def test_a_frame_that_its_bytes_cannot_fill_costs_no_memory() -> None:
    """In a process of its own, whose peak nothing else has raised: 1 MB was measured, and 431 MB before."""
    program = """
import resource
from img2dataset.imaging.shrinking import can_shrink
from tests.imaging.test_shrinking import hostile, not_taken
bodies = [hostile()[name] for name in ("200 megapixels in 158 bytes", "65500 pixels a side")]
assert can_shrink()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert all(not_taken(body) for body in bodies)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 20_000


def test_white_beyond_any_integer_is_white_and_black_is_black() -> None:
    files = hostile()
    assert shrunk(files["samples beyond any integer"], (40, 1))[0, 0] == 255
    assert shrunk(files["samples below any integer"], (40, 1))[0, 0] == 0


@pytest.mark.slow
def test_every_seed_and_every_hostile_file_passes_the_sanitizers(tmp_path, monkeypatch) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    monkeypatch.setattr(native, "WORK", tmp_path)
    monkeypatch.setattr(native, "DRIVER", tmp_path / "driver")
    native.build()
    bodies = [*native_seeds.seeds(), *hostile().values()]
    for number, body in enumerate(bodies):
        (tmp_path / f"{number}.jpg").write_bytes(body)
    files = [str(tmp_path / f"{number}.jpg") for number in range(len(bodies))]
    said = subprocess.run([str(native.DRIVER), *files], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert len(said.stdout.splitlines()) == len(bodies)

"""What the shrinking decoder does not take goes the usual way; and what hostile files cost: nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageFailure
from img2dataset.imaging.decode import decode
from img2dataset.imaging.header import read_header
from img2dataset.imaging.reduction import Shortcuts, usual_reduction
from img2dataset.imaging.resize import reduce_in_steps
from img2dataset.imaging.shrinking import shrink_jpeg
from tests.fuzzing import native, native_seeds
from tests.imaging import hand_made_jpegs as made
from tests.imaging.odd_files import Pixels, psnr, saved, stored
from tests.own_peak import with_own_peak
from tests.pictures import photograph, photograph_pixels

WHOLE = Shortcuts()


def not_taken(body: bytes, size: tuple[int, int] = (8, 8)) -> bool:
    return shrink_jpeg(body, read_header(body), size, WHOLE) is None


def outcome(body: bytes, exactly: bool, side: int) -> Pixels | str:
    """What is stored of the file, or the message it fails with."""
    try:
        return stored(body, image_size=side, resize_mode="keep_ratio_largest", exact_resize=exactly)
    except ImageFailure as reason:
        return reason.failure


def alike(one: Pixels | str, other: Pixels | str) -> bool:
    """The same failure, or nearly the same picture."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return psnr(one, other) > 40


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
    "cut": lambda: photograph(701, 523, 3)[:20_000],
    "progressive and cut": lambda: photograph(701, 523, 3, progressive=True)[:20_000],
    "cut and ended": lambda: photograph(701, 523, 3)[:20_000] + made.END,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_decoded_fails_as_it_does_with_exact_resize(name) -> None:
    body = DAMAGED[name]()
    assert not_taken(body)
    assert alike(outcome(body, False, 48), outcome(body, True, 48))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_a_scan_with_wrong_bits_gives_the_same_failure_or_a_picture_they_cannot_be_seen_in(
    options, seed
) -> None:
    random = np.random.default_rng(seed)
    whole = saved(photograph_pixels(300, 225, seed % 3), "JPEG", quality=85, **options)
    body = bytearray(whole)
    scan = body.index(b"\xff\xda") + 20
    for place in random.integers(scan, len(body) - 2, 2):
        body[place] ^= 1 << int(random.integers(8))
    fast, exact = outcome(bytes(body), False, 96), outcome(bytes(body), True, 96)
    if isinstance(exact, str) and exact == "decode: corrupt" and not isinstance(fast, str):
        # The wrong bits lie in a scan that a small picture does without.
        assert "progressive" in options
        assert np.array_equal(fast, outcome(whole, False, 96))
    else:
        assert alike(fast, exact)


@pytest.mark.parametrize("scans", range(1, 10))
def test_a_progressive_file_that_ends_after_some_scans_gives_the_same_picture(scans) -> None:
    """Whether it is taken or not: without the last bit of the means it is not."""
    body = photograph(800, 600, 1, quality=85, progressive=True)
    places = [place for place in range(len(body) - 1) if body[place : place + 2] == b"\xff\xda"]
    table = body.rfind(b"\xff\xc4", places[scans - 1], places[scans])
    body = body[: places[scans] if table < 0 else table] + made.END
    assert not_taken(body) == (scans < 7)
    assert alike(outcome(body, False, 256), outcome(body, True, 256))


def test_a_header_that_says_other_channels_or_sizes_than_the_file_is_refused() -> None:
    """The result would not fit the room that was made for it."""
    pixels = photograph_pixels(97, 61, 3)
    for body in (saved(pixels, "JPEG"), saved(pixels[:, :, 1], "JPEG")):
        header = read_header(body)
        for other in (
            replace(header, grey=not header.grey),
            replace(header, width=header.width + 1),
            replace(header, height=header.height - 1),
        ):
            assert shrink_jpeg(body, other, (10, 10), WHOLE) is None
        for size in ((98, 61), (97, 62), (97, 0), (0, 61)):
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
from tests.imaging.test_shrinking_refusals import hostile, not_taken
bodies = [hostile()[name] for name in ("200 megapixels in 158 bytes", "65500 pixels a side")]
assert can_shrink()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert all(not_taken(body) for body in bodies)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    folder = Path(__file__).parents[2]
    command = with_own_peak([sys.executable, "-c", program])
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert int(said.stdout) < 20_000


def test_white_beyond_any_integer_is_white_and_black_is_black() -> None:
    files = hostile()
    for name, level in (("beyond", 255), ("below", 0)):
        body = files[f"samples {name} any integer"]
        pixels = shrink_jpeg(body, read_header(body), (40, 1), WHOLE)
        assert pixels is not None
        assert pixels[0, 0] == level


@pytest.mark.slow
def test_every_seed_and_every_hostile_file_passes_the_sanitizers_however_it_is_decoded(
    tmp_path: Path,
) -> None:
    if not native.has_libfuzzer():
        pytest.skip(native.MISSING)
    fuzzer = native.build("native_jpeg", native.NATIVE, tmp_path, "-DMOST_PIXELS=UINT32_MAX")
    bodies = [*native_seeds.jpegs(), *hostile().values()]
    files = tmp_path / "files"
    files.mkdir()
    for number, body in enumerate(bodies):
        for way in range(native_seeds.WAYS):
            (files / f"{number}-{way}").write_bytes(body + bytes([way]))
    said = subprocess.run([fuzzer, "-runs=0", files], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert f"{len(bodies) * native_seeds.WAYS} files found" in said.stderr

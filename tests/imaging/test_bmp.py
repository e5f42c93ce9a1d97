"""Every field of a BMP that a decoder may overlook, each value against pixels known before."""

from __future__ import annotations

import io
import itertools
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.imaging.odd_files import ALPHA, RGB, failure, on_white, psnr, saved, stored

Pixels = np.ndarray[Any, Any]

PLAIN, RLE8, RLE4, MASKS, MASKS_WITH_ALPHA = 0, 1, 2, 3, 6
HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
HEIGHT, WIDTH = 21, 33
PICTURE = RGB[:HEIGHT, :WIDTH]
OPACITY = np.maximum(ALPHA[:HEIGHT, :WIDTH], 1)


def bmp(
    rows: list[bytes],
    width: int,
    bits: int,
    *,
    header: int = 40,
    compression: int = PLAIN,
    masks: tuple[int, ...] = (),
    palette: Pixels | None = None,
    top_down: bool = False,
    data: bytes | None = None,
    colours_said: int | None = None,
) -> bytes:
    """A file of these rows, from the top, none filled up; ``palette``: (entries, 3), RGB."""
    height = len(rows)
    if data is None:
        data = b"".join(row + bytes(-len(row) % 4) for row in (rows if top_down else rows[::-1]))
    colours = (
        b""
        if palette is None
        else b"".join(
            bytes(entry[::-1]) + (b"" if header == 12 else b"\0") for entry in palette.astype(np.uint8)
        )
    )
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        said = (0 if palette is None else len(palette)) if colours_said is None else colours_said
        info = struct.pack(
            "<IiiHHIIiiII",
            header,
            width,
            -height if top_down else height,
            1,
            bits,
            compression,
            len(data),
            0,
            0,
            said,
            0,
        )[:header]
        if header >= 52:
            info += struct.pack("<4I", *(*masks, 0, 0, 0, 0)[:4])[: header - 40]
        info = info.ljust(header, b"\0")
    behind = struct.pack(f"<{len(masks)}I", *masks) if header == 40 else b""
    offset = 14 + len(info) + len(behind) + len(colours)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + behind + colours + data


def packed(indexes: Pixels, bits: int) -> list[bytes]:
    single = (indexes[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return [row.tobytes() for row in np.packbits(single.reshape(len(indexes), -1).astype(np.uint8), axis=1)]


def with_palette(bits: int) -> tuple[Pixels, Pixels, Pixels]:
    indexes = (PICTURE[:, :, 1] >> (8 - bits)).astype(np.uint8)
    palette = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3)).astype(np.uint8)
    return indexes, palette, palette[indexes]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_under_every_header(bits: int, header: int) -> None:
    indexes, palette, expected = with_palette(bits)
    for top_down in dict.fromkeys((False, header > 16)):
        body = bmp(packed(indexes, bits), WIDTH, bits, header=header, palette=palette, top_down=top_down)
        assert np.array_equal(stored(body), expected)


@pytest.mark.parametrize("header", HEADERS)
def test_plain_colours_under_every_header(header: int) -> None:
    five = np.round(PICTURE / 255 * 31).astype(np.uint16)
    words = (five[:, :, 0] << 10 | five[:, :, 1] << 5 | five[:, :, 2]).astype("<u2")
    for fourth in (0, 7, 255):
        four = np.dstack([PICTURE[:, :, ::-1], np.full((HEIGHT, WIDTH), fourth, np.uint8)])
        body = bmp([row.tobytes() for row in four], WIDTH, 32, header=header)
        assert np.array_equal(stored(body), PICTURE), fourth
    body = bmp([row.tobytes() for row in PICTURE[:, :, ::-1]], WIDTH, 24, header=header)
    assert np.array_equal(stored(body), PICTURE)
    body = bmp([row.tobytes() for row in words], WIDTH, 16, header=header)
    assert np.array_equal(stored(body), np.floor(five * 255 / 31 + 0.5))


def test_white_of_5_bits_is_white() -> None:
    assert (stored(bmp([b"\xff\x7f" * 3], 3, 16)) == 255).all()
    assert (
        stored(bmp([b"\xff\xff" * 3], 3, 16, compression=MASKS, masks=(0xF800, 0x7E0, 0x1F))) == 255
    ).all()


LAYOUTS = {
    "usual": (32, (0xFF0000, 0xFF00, 0xFF)),
    "the other way round": (32, (0xFF, 0xFF00, 0xFF0000)),
    "high bytes": (32, (0xFF000000, 0xFF0000, 0xFF00)),
    "ten bits": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "uneven": (32, (0x7F, 0xF000, 0x01FF0000)),
    "nineteen bits": (32, (0x7FFFF, 0x780000, 0xFF800000)),
    "one bit": (32, (0x1, 0x100, 0x80000000)),
    "5-6-5": (16, (0xF800, 0x7E0, 0x1F)),
    "4-4-4": (16, (0xF00, 0xF0, 0xF)),
    "3-3-2": (16, (0xE0, 0x1C, 0x3)),
}


def masked(masks: tuple[int, ...], channels: Pixels, bits: int) -> tuple[list[bytes], Pixels]:
    """Rows of words, and the levels that their fields stand for."""
    words = np.zeros(channels.shape[:2], np.uint64)
    levels = []
    for number, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        largest = mask >> shift
        values = np.round(channels[:, :, number].astype(float) / 255 * largest).astype(np.uint64)
        words |= values << np.uint64(shift)
        levels.append(np.floor(values.astype(float) * 255 / largest + 0.5))
    return [row.tobytes() for row in words.astype(f"<u{bits // 8}")], np.dstack(levels)


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("name", LAYOUTS)
def test_masks_of_every_kind_under_every_header(name: str, header: int) -> None:
    bits, masks = LAYOUTS[name]
    rows, expected = masked(masks, PICTURE, bits)
    body = bmp(rows, WIDTH, bits, header=header, compression=MASKS, masks=masks)
    assert np.abs(stored(body).astype(int) - expected).max() <= (1 if name == "nineteen bits" else 0)


@pytest.mark.parametrize(
    ("header", "compression"), [(56, MASKS), (108, MASKS), (124, MASKS), (40, MASKS_WITH_ALPHA)]
)
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0x0F000000)),
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
    ],
)
def test_alpha_where_a_mask_says_so(header: int, compression: int, bits: int, masks: tuple[int, ...]) -> None:
    rows, levels = masked(masks, np.dstack([PICTURE, OPACITY]), bits)
    body = bmp(rows, WIDTH, bits, header=header, compression=compression, masks=masks)
    assert psnr(stored(body), on_white(levels[:, :, :3], levels[:, :, 3])) > 52
    rows, levels = masked(masks, np.dstack([PICTURE, np.zeros_like(OPACITY)]), bits)
    body = bmp(rows, WIDTH, bits, header=header, compression=compression, masks=masks)
    assert np.array_equal(stored(body), levels[:, :, :3]), "nobody could see it: opaque"


def test_masks_that_have_gaps_are_unsupported() -> None:
    body = bmp([bytes(4)], 1, 32, compression=MASKS, masks=(0xFF0000, 0xF00F, 0xFF))
    assert failure(body) == "decode: unsupported format"


@pytest.mark.parametrize("compression", [4, 5, 11, 99])
def test_other_compressions_are_unsupported(compression: int) -> None:
    assert failure(bmp([bytes(4)], 1, 24, compression=compression)) == "decode: unsupported format"


def test_compressions_of_os2_are_unsupported() -> None:
    for number in (3, 4):
        body = bmp([bytes(4)], 1, 24, header=64, compression=number)
        assert failure(body) == "decode: unsupported format"


def run_lengths(indexes: Pixels, bits: int, past: int = 0, literal: bool = False) -> bytes:
    """Runs, and if asked literals, bottom up; each row's last run goes ``past`` the width."""
    out = b""
    for row in indexes[::-1]:
        values = row.tolist()
        if literal:
            start = values[:7]
            out += b"\0\x07"
            part = (
                bytes(start)
                if bits == 8
                else bytes(a << 4 | b for a, b in zip(start[::2], [*start[1::2], 0], strict=True))
            )
            out += part + bytes(len(part) % 2)
            values = values[7:]
        runs = [[value, len(list(same))] for value, same in itertools.groupby(values)]
        runs[-1][1] += past
        for value, count in runs:
            out += bytes([count, value if bits == 8 else value * 17])
        out += b"\0\0"
    return out + b"\0\1"


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("past", [0, 1, 40])
@pytest.mark.parametrize("bits", [4, 8])
def test_runs(bits: int, past: int, literal: bool) -> None:
    indexes, palette, expected = with_palette(bits)
    compression = RLE8 if bits == 8 else RLE4
    data = run_lengths(indexes, bits, past, literal)
    body = bmp([b""] * HEIGHT, WIDTH, bits, compression=compression, palette=palette, data=data)
    assert np.array_equal(stored(body), expected)
    assert failure(body[: len(body) * 3 // 4]) == "decode: truncated"


def test_moves_and_early_ends_of_lines_leave_the_first_colour() -> None:
    palette = np.array([[10, 20, 30], [200, 100, 50]], np.uint8)
    data = b"\2\1\0\2\1\1\3\1\0\0\0\1"  # two; one right and one up; three; the end
    body = bmp([b""] * 3, 6, 8, compression=RLE8, palette=palette, data=data)
    expected = [[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0]]
    assert np.array_equal(stored(body), palette[expected])


def test_palettes_that_are_short_or_said_too_long() -> None:
    indexes = np.array([[0, 1, 5]], np.uint8)
    palette = np.array([[10, 20, 30], [200, 100, 50]], np.uint8)
    expected = [[[10, 20, 30], [200, 100, 50], [0, 0, 0]]]
    for said in (2, 0, 300):
        body = bmp(packed(indexes, 8), 3, 8, palette=palette, colours_said=said)
        assert np.array_equal(stored(body), expected), said


def test_a_palette_behind_the_end_of_the_file_is_black() -> None:
    body = bytearray(bmp([b"\0"], 1, 8, palette=np.array([[10, 20, 30]])))
    body[10:18] = struct.pack("<II", len(body) - 4, 4000)
    assert not stored(bytes(body)).any()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_ordinary_files_give_the_pixels_of_opencv(mode: str) -> None:
    body = saved(Image.fromarray(PICTURE).convert(mode), "BMP")
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored(body), expected if expected.ndim == 2 else expected[:, :, ::-1])
    theirs = Image.open(io.BytesIO(body)).convert("RGB")
    assert psnr(stored(body), np.asarray(theirs)) == 99


def test_what_fills_up_the_last_row_may_be_missing_but_no_pixel() -> None:
    body = bmp([row.tobytes() for row in PICTURE[:, :, ::-1]], WIDTH, 24)
    assert WIDTH * 3 % 4 == 3
    assert np.array_equal(stored(body[:-1]), PICTURE)
    assert failure(body[:-2]) == "decode: truncated"

"""TGA, PCX and SGI: each field that a decoder may overlook, against pixels known before."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.imaging.odd_files import ALPHA, GREY, RGB, failure, on_white, psnr, saved, stored, with_alpha

Pixels = np.ndarray[Any, Any]
PIXELS_OF_16_BITS = (RGB // 8).astype(np.uint16) @ np.array([1 << 10, 1 << 5, 1], np.uint16)
SHOWN_OF_16_BITS = (RGB // 8 * (255 / 31)).astype(np.uint8)
HEIGHT, WIDTH = GREY.shape
FOOTER = b"TRUEVISION-XFILE.\0"


def targa(
    rows: Pixels,
    bits: int,
    *,
    grey: bool = False,
    attribute_bits: int = 0,
    corner: int = 0,
    kind: int | None = None,
) -> bytes:
    """A file of uncompressed rows, from the top, of shape (height, bytes).

    ``corner``: where its first pixel lies: 0 below left, 0x10 below right, 0x20 above left, 0x30 above right.
    ``kind``: of its fourth channel, as an extension area says.
    """
    per_pixel = bits + 7 >> 3
    pixels = rows.reshape(HEIGHT, WIDTH, per_pixel)
    pixels = pixels if corner & 0x20 else pixels[::-1]
    pixels = pixels[:, ::-1] if corner & 0x10 else pixels
    header = struct.pack(
        "<BBBHHBHHHHBB", 0, 0, 3 if grey else 2, 0, 0, 0, 0, 0, WIDTH, HEIGHT, bits, corner | attribute_bits
    )
    body = header + pixels.tobytes()
    if kind is None:
        return body
    area = struct.pack("<H", 495) + bytes(492) + bytes([kind])
    return body + area + struct.pack("<II", len(body), 0) + FOOTER


def bytes_of(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(HEIGHT, -1)


BGRA = np.dstack([RGB[:, :, ::-1], ALPHA])
NO_ALPHA = np.dstack([RGB[:, :, ::-1], np.zeros_like(ALPHA)])
SHOWN_ON_WHITE = on_white(RGB, ALPHA)


@pytest.mark.parametrize("corner", [0, 0x10, 0x20, 0x30])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_targa_of_each_depth_from_each_corner(bits, corner):
    pixels = {16: PIXELS_OF_16_BITS, 24: RGB[:, :, ::-1], 32: NO_ALPHA}[bits]
    shown = SHOWN_OF_16_BITS if bits < 24 else RGB
    assert psnr(stored(targa(bytes_of(pixels), bits, corner=corner)), shown) > 48


@pytest.mark.parametrize("corner", [0, 0x20])
def test_grey_targa(corner):
    assert np.array_equal(stored(targa(bytes_of(GREY), 8, grey=True, corner=corner)), GREY)


@pytest.mark.parametrize(
    ("attribute_bits", "kind", "shown"),
    [
        (8, None, SHOWN_ON_WHITE),
        (0, None, RGB),  # the fourth byte fills up 32 bits
        (8, 3, SHOWN_ON_WHITE),
        (8, 0, RGB),  # no alpha
        (8, 1, RGB),  # not defined, can be ignored
        (8, 2, RGB),  # not defined, to be kept
    ],
)
def test_the_fourth_channel_of_a_targa_is_transparency_only_where_it_says_so(attribute_bits, kind, shown):
    assert psnr(stored(targa(bytes_of(BGRA), 32, attribute_bits=attribute_bits, kind=kind)), shown) > 52


def test_a_targa_that_says_15_bits_is_unsupported():
    assert failure(targa(bytes_of(PIXELS_OF_16_BITS), 15)) == "decode: unsupported format: tga"


def test_premultiplied_alpha_of_a_targa_is_not_shown_wrongly():
    assert failure(targa(bytes_of(BGRA), 32, attribute_bits=8, kind=4)) == "decode: unsupported format"


def test_a_targa_with_a_mark_that_lies_beyond_the_file():
    body = targa(bytes_of(BGRA), 32, attribute_bits=8, kind=0)
    beyond = body[:-26] + struct.pack("<II", 1 << 31, 0) + FOOTER
    assert psnr(stored(beyond), SHOWN_ON_WHITE) > 52


PALETTE = Image.fromarray(RGB).quantize(24)
ONE_BIT = Image.fromarray(GREY).convert("1", dither=Image.Dither.NONE)
SAVED = {
    "tga rle": lambda: (saved(RGB, "TGA", compression="tga_rle"), RGB),
    "tga without mark": lambda: (saved(RGB, "TGA").removesuffix(FOOTER), RGB),
    "tga palette": lambda: (saved(PALETTE, "TGA"), PALETTE.convert("RGB")),
    "tga palette rle": lambda: (saved(PALETTE, "TGA", compression="tga_rle"), PALETTE.convert("RGB")),
    "tga alpha": lambda: (saved(with_alpha(RGB), "TGA"), SHOWN_ON_WHITE),
    "pcx": lambda: (saved(RGB, "PCX"), RGB),
    "pcx grey": lambda: (saved(GREY, "PCX"), GREY),
    "pcx palette": lambda: (saved(PALETTE, "PCX"), PALETTE.convert("RGB")),
    "pcx of 1 bit": lambda: (saved(ONE_BIT, "PCX"), ONE_BIT.convert("L")),
    "sgi": lambda: (saved(RGB, "SGI"), RGB),
    "sgi grey": lambda: (saved(GREY, "SGI"), GREY),
    "sgi alpha": lambda: (saved(with_alpha(RGB), "SGI"), SHOWN_ON_WHITE),
}


@pytest.mark.parametrize("name", SAVED)
def test_what_pillow_writes(name):
    body, shown = SAVED[name]()
    shown = np.asarray(shown)
    found = stored(body)
    if shown.ndim == 2 and found.ndim == 3:
        shown = np.dstack([shown] * 3)
    assert found.shape == shown.shape
    assert psnr(found, shown) > 52


@pytest.mark.parametrize("name", SAVED)
def test_cut_in_the_middle_it_is_no_picture(name):
    body, _ = SAVED[name]()
    assert failure(body[: 18 + (len(body) - 18) // 2]).startswith("decode: ")


def test_a_size_without_pixels_is_refused_from_the_header():
    body = bytearray(targa(bytes_of(RGB[:, :, ::-1]), 24))
    body[12:16] = b"\xff\xff\xff\xff"
    assert failure(bytes(body)).startswith(("decode: ", "too large"))

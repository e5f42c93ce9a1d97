"""Odd files, each against pixels known before it was encoded. Below 99 dB only what is lossy."""

from __future__ import annotations

import struct
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.imaging.odd_files import (
    ALPHA,
    GIF_PALETTE,
    GREY,
    RGB,
    failure,
    gif,
    gif_frame,
    ico,
    jpeg_without,
    on_white,
    png,
    png_chunk,
    process,
    psnr,
    saved,
    sixteen_bits,
    stored,
    with_alpha,
)

LOSSLESS = 99.0
ROUNDED = 52.0
PALETTE_IMAGE = Image.fromarray(RGB).quantize(24)
PALETTE_INDEXES = np.asarray(PALETTE_IMAGE)
PALETTE_RGB = np.asarray(PALETTE_IMAGE.convert("RGB"))
ONE_BIT = np.where(GREY > 128, 255, 0).astype(np.uint8)
ONE_BIT_IMAGE = Image.fromarray(ONE_BIT).convert("1", dither=Image.Dither.NONE)
CMYK = Image.fromarray(RGB).convert("CMYK")
OTHER = np.ascontiguousarray(RGB[::-1])
CUT = RGB.copy()
CUT[:20, :20] = (10, 20, 30)
CUT_ON_WHITE = CUT.copy()
CUT_ON_WHITE[(CUT == (10, 20, 30)).all(axis=2)] = 255
INDEXES = (np.add.outer(np.arange(6), np.arange(10)) % 4).astype(np.uint8)
BGR16 = RGB[:, :, ::-1].astype(np.uint16) * 257


def opencv(ending: str, pixels: np.ndarray, *parameters: int) -> bytes:
    return cv2.imencode(ending, pixels, list(parameters))[1].tobytes()


def two_bits(transparent: int | None = None) -> tuple[bytes, np.ndarray]:
    indexes = (np.add.outer(np.arange(61), np.arange(96)) // 7 % 4).astype(np.uint8)
    packed = indexes.reshape(61, 24, 4) @ np.array([64, 16, 4, 1], np.uint8)
    extra = b"" if transparent is None else png_chunk(b"tRNS", struct.pack(">H", transparent))
    expected = np.where(indexes == (-1 if transparent is None else transparent), 255, indexes * 85)
    return png([bytes(row) for row in packed.astype(np.uint8)], 96, 2, 0, extra), expected


def small_gif(left: int, top: int, width: int, height: int, transparent: int | None = None) -> np.ndarray:
    canvas = np.full((height, width, 3), 255, np.uint8)
    colours = np.array(GIF_PALETTE, np.uint8)[INDEXES]
    if transparent is not None:
        colours[transparent == INDEXES] = 255
    canvas[top : top + 6, left : left + 10] = colours
    return canvas


def bmp_with_alpha() -> bytes:
    rows = np.dstack([RGB[::-1, :, ::-1], ALPHA[::-1]]).tobytes()
    info = struct.pack("<IiiHHIIiiII", 108, 97, 61, 1, 32, 3, len(rows), 0, 0, 0, 0)
    info += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 122 + len(rows), 0, 0, 122) + info + rows


def plain_cmyk() -> bytes:
    """A JPEG of ink as it is, without Adobe's mark: Pillow inverts, so it is given inverted ink."""
    inverted = Image.merge("CMYK", [band.point(lambda ink: 255 - ink) for band in CMYK.split()])
    return jpeg_without(saved(inverted, "JPEG", quality=98, subsampling=0), 0xEE)


def ycck() -> bytes:
    """Adobe's YCCK: YCbCr of the inks as they are, black inverted. Pillow writes the planes."""
    inks = np.asarray(CMYK)
    luma = np.asarray(Image.fromarray(inks[:, :, :3]).convert("YCbCr"))
    planes = np.dstack([luma, 255 - inks[:, :, 3]])
    body = saved(
        Image.merge("CMYK", [Image.fromarray(255 - plane) for plane in planes.transpose(2, 0, 1)]),
        "JPEG",
        quality=98,
        subsampling=0,
    )
    mark = body.index(b"Adobe")
    return body[: mark + 11] + b"\x02" + body[mark + 12 :]


FILES: dict[str, tuple[Callable[[], bytes], np.ndarray, float]] = {
    "grey png": (lambda: saved(GREY, "PNG"), GREY, LOSSLESS),
    "grey jpeg": (lambda: saved(GREY, "JPEG", quality=98), GREY, 40),
    "progressive jpeg": (lambda: saved(RGB, "JPEG", quality=98, subsampling=0, progressive=True), RGB, 40),
    "grey with alpha png": (lambda: saved(with_alpha(GREY), "PNG"), on_white(GREY), ROUNDED),
    "alpha png": (lambda: saved(with_alpha(RGB), "PNG"), on_white(RGB), ROUNDED),
    "alpha webp": (lambda: saved(with_alpha(RGB), "WEBP", lossless=True, exact=True), on_white(RGB), ROUNDED),
    "alpha tiff": (lambda: saved(with_alpha(RGB), "TIFF"), on_white(RGB), ROUNDED),
    "grey with alpha tiff": (lambda: saved(with_alpha(GREY), "TIFF"), on_white(GREY), ROUNDED),
    "alpha jpeg 2000": (lambda: saved(with_alpha(RGB), "JPEG2000"), on_white(RGB), ROUNDED),
    "grey with alpha jpeg 2000": (lambda: saved(with_alpha(GREY), "JPEG2000"), on_white(GREY), ROUNDED),
    "alpha avif": (
        lambda: saved(with_alpha(RGB), "AVIF", quality=100, subsampling="4:4:4"),
        on_white(RGB),
        42,
    ),
    "alpha bmp": (bmp_with_alpha, on_white(RGB), ROUNDED),
    "palette png": (lambda: saved(PALETTE_IMAGE, "PNG"), PALETTE_RGB, LOSSLESS),
    "palette of 2 bits png": (
        lambda: saved(Image.fromarray(RGB).quantize(4), "PNG", bits=2),
        np.asarray(Image.fromarray(RGB).quantize(4).convert("RGB")),
        LOSSLESS,
    ),
    "palette with one transparent colour png": (
        lambda: saved(PALETTE_IMAGE, "PNG", transparency=5),
        np.where((PALETTE_INDEXES == 5)[:, :, None], 255, PALETTE_RGB),
        LOSSLESS,
    ),
    "palette with half transparent colours png": (
        lambda: saved(PALETTE_IMAGE, "PNG", transparency=bytes(range(0, 240, 10))),
        on_white(PALETTE_RGB, (PALETTE_INDEXES * 10).astype(np.uint8)),
        ROUNDED,
    ),
    "palette tiff": (lambda: saved(PALETTE_IMAGE, "TIFF"), PALETTE_RGB, LOSSLESS),
    "colour that means transparent png": (
        lambda: saved(CUT, "PNG", transparency=(10, 20, 30)),
        CUT_ON_WHITE,
        LOSSLESS,
    ),
    "grey that means transparent png": (
        lambda: saved(GREY, "PNG", transparency=int(GREY[5, 5])),
        np.where(GREY[5, 5] == GREY, 255, GREY),
        LOSSLESS,
    ),
    "grey of 16 bits that means transparent png": (
        lambda: png(
            sixteen_bits(GREY), 97, 16, 0, png_chunk(b"tRNS", struct.pack(">H", int(GREY[5, 5]) * 257))
        ),
        np.where(GREY[5, 5] == GREY, 255, GREY),
        LOSSLESS,
    ),
    "grey of 2 bits png": (lambda: two_bits()[0], two_bits()[1], LOSSLESS),
    "grey of 2 bits that means transparent png": (lambda: two_bits(2)[0], two_bits(2)[1], LOSSLESS),
    "1 bit png": (lambda: saved(ONE_BIT_IMAGE, "PNG"), ONE_BIT, LOSSLESS),
    "1 bit tiff, group 4": (lambda: saved(ONE_BIT_IMAGE, "TIFF", compression="group4"), ONE_BIT, LOSSLESS),
    "1 bit bmp": (lambda: saved(ONE_BIT_IMAGE, "BMP"), ONE_BIT, LOSSLESS),
    "1 bit pbm": (lambda: saved(ONE_BIT_IMAGE, "PPM"), ONE_BIT, LOSSLESS),
    "16-bit grey png": (lambda: png(sixteen_bits(GREY), 97, 16, 0), GREY, LOSSLESS),
    "16-bit grey png, rounded down": (lambda: png(sixteen_bits(GREY, 0), 97, 16, 0), GREY, 48),
    "16-bit colour png": (lambda: png(sixteen_bits(RGB), 97, 16, 2), RGB, LOSSLESS),
    "16-bit alpha png": (lambda: png(sixteen_bits(with_alpha(RGB)), 97, 16, 6), on_white(RGB), ROUNDED),
    "16-bit grey tiff": (lambda: saved(GREY.astype(np.uint16) * 257, "TIFF"), GREY, LOSSLESS),
    "16-bit colour tiff": (lambda: opencv(".tiff", BGR16), RGB, LOSSLESS),
    "16-bit colour jpeg 2000": (lambda: opencv(".jp2", BGR16), RGB, 40),
    "16-bit colour ppm": (lambda: opencv(".ppm", BGR16), RGB, LOSSLESS),
    "16-bit grey pgm": (lambda: opencv(".pgm", GREY.astype(np.uint16) * 257), GREY, LOSSLESS),
    "10-bit avif": (
        lambda: opencv(".avif", BGR16 >> 6, cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_DEPTH, 10),
        RGB,
        42,
    ),
    "Adobe's cmyk jpeg": (lambda: saved(CMYK, "JPEG", quality=98, subsampling=0), RGB, 38),
    "plain cmyk jpeg": (plain_cmyk, RGB, 38),
    "ycck jpeg": (ycck, RGB, 38),
    "cmyk tiff": (lambda: saved(CMYK, "TIFF"), RGB, 48),
    "lzw tiff": (lambda: saved(RGB, "TIFF", compression="tiff_lzw"), RGB, LOSSLESS),
    "jpeg in tiff": (lambda: saved(RGB, "TIFF", compression="jpeg", quality=98), RGB, 35),
    "big tiff": (lambda: saved(RGB, "TIFF", big_tiff=True), RGB, LOSSLESS),
    "tiff of several pages": (
        lambda: saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(OTHER)]),
        RGB,
        LOSSLESS,
    ),
    "bmp": (lambda: saved(RGB, "BMP"), RGB, LOSSLESS),
    "jpeg 2000": (lambda: saved(RGB, "JPEG2000"), RGB, LOSSLESS),
    "jpeg 2000 codestream": (lambda: saved(RGB, "JPEG2000", no_jp2=True), RGB, LOSSLESS),
    "webp": (lambda: saved(RGB, "WEBP", lossless=True), RGB, LOSSLESS),
    "avif": (lambda: saved(RGB, "AVIF", quality=100, subsampling="4:4:4"), RGB, 40),
    "ppm": (lambda: saved(RGB, "PPM"), RGB, LOSSLESS),
    "gif": (lambda: gif(10, 6, gif_frame(0, 0, INDEXES)), small_gif(0, 0, 10, 6), LOSSLESS),
    "transparent gif": (
        lambda: gif(10, 6, gif_frame(0, 0, INDEXES, transparent=2)),
        small_gif(0, 0, 10, 6, transparent=2),
        LOSSLESS,
    ),
    "gif whose frame leaves room": (
        lambda: gif(20, 12, gif_frame(5, 2, INDEXES), background=3),
        small_gif(5, 2, 20, 12),
        LOSSLESS,
    ),
    "transparent gif whose frame leaves room": (
        lambda: gif(20, 12, gif_frame(5, 2, INDEXES, transparent=1), background=1),
        small_gif(5, 2, 20, 12, transparent=1),
        LOSSLESS,
    ),
    "gif whose frame is larger than its canvas": (
        lambda: gif(4, 3, gif_frame(0, 0, INDEXES)),
        small_gif(0, 0, 10, 6),
        LOSSLESS,
    ),
    "animated gif": (
        lambda: gif(10, 6, gif_frame(0, 0, INDEXES), gif_frame(0, 0, 3 - INDEXES)),
        small_gif(0, 0, 10, 6),
        LOSSLESS,
    ),
    "animated webp": (
        lambda: saved(RGB, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(OTHER)]),
        RGB,
        LOSSLESS,
    ),
    "animated png": (
        lambda: saved(RGB, "PNG", save_all=True, append_images=[Image.fromarray(OTHER)]),
        RGB,
        LOSSLESS,
    ),
    "icon with png": (
        lambda: ico(saved(GREY[:16, :16], "PNG"), saved(with_alpha(RGB), "PNG")),
        on_white(RGB),
        ROUNDED,
    ),
    "icon with bitmap": (
        lambda: saved(
            with_alpha(RGB[:32, :32], ALPHA[:32, :32]), "ICO", bitmap_format="bmp", sizes=[(32, 32)]
        ),
        on_white(RGB[:32, :32], ALPHA[:32, :32]),
        ROUNDED,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_an_odd_file_is_stored_with_the_pixels_it_was_made_from(name):
    make, expected, least_psnr = FILES[name]
    made = stored(make())
    assert psnr(made, expected) >= least_psnr


@pytest.mark.parametrize("name", FILES)
def test_the_size_recorded_is_that_of_the_pixels(name):
    make, expected, _ = FILES[name]
    made = process(make(), resize_mode="no")
    assert (made.original_height, made.original_width) == expected.shape[:2]
    assert (made.height, made.width) == expected.shape[:2]


def test_a_grey_image_is_stored_grey():
    assert stored(saved(GREY, "PNG")).ndim == 2
    assert stored(saved(GREY, "PNG"), resize_mode="border", image_size=128).ndim == 2


def test_a_wide_range_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 256 * 3).astype(">u2").reshape(3, 256)
    made = stored(png([row.tobytes() for row in ramp], 256, 16, 0))
    assert np.abs(made - ramp / 257).max() <= 0.5


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: opencv(".tiff", RGB.astype(np.float32) / 255), id="float tiff"),
        pytest.param(lambda: saved(GREY.astype(np.int32), "TIFF"), id="32-bit tiff"),
    ],
)
def test_what_is_an_image_but_cannot_be_made_one_of_8_bits_is_unsupported(body):
    assert failure(body()) == "decode: unsupported format"


NAMED = {
    "hdr": lambda: opencv(".hdr", RGB.astype(np.float32)),
    "svg": lambda: b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
    "jxl": lambda: b"\xff\x0a" + bytes(64),
    "psd": lambda: b"8BPS\0\1" + bytes(64),
    "dds": lambda: saved(RGB, "DDS"),
    "qoi": lambda: b"qoif" + struct.pack(">IIBB", 97, 61, 3, 0) + bytes(64),
    "icns": lambda: saved(Image.fromarray(RGB).resize((64, 64)), "ICNS"),
    "pam": lambda: b"P7\nWIDTH 97\nHEIGHT 61\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + RGB.tobytes(),
    "pfm": lambda: b"PF\n97 61\n-1.0\n" + RGB.astype("<f4").tobytes(),
    "exr": lambda: b"\x76\x2f\x31\x01" + bytes(64),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_format_without_a_decoder_is_named(name):
    assert failure(NAMED[name]()) == f"decode: unsupported format: {name}"


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"<html>not found</html>", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7", b"P9 1 1"]
)
def test_what_is_no_image_says_so(body):
    assert failure(body) == "decode: not an image"

"""What the fuzzers of the C library begin with: small JPEGs of every kind it knows, and rows of PNGs."""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

_SIZES = ((1, 1), (8, 8), (17, 9), (33, 40), (70, 3), (3, 70))
# OpenCV's IMWRITE_JPEG_SAMPLING_FACTOR: 4:1:1, 4:2:0, 4:2:2, 4:4:0 and 4:4:4.
_SAMPLINGS = (0x411111, 0x221111, 0x211111, 0x121111, 0x111111)

# In so many ways native_jpeg.c calls the decoder.
WAYS = 192


def picture(width: int, height: int) -> np.ndarray:
    """Gradients, an edge and noise: some blocks are flat, others use every coefficient."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.default_rng(width * 1000 + height).normal(0, 40, (height, width, 3))
    field = np.dstack([x * 3 + y, y * 4, 255 - x * 2]) + noise * (x > width / 2)[:, :, None]
    return field.clip(0, 255).astype(np.uint8)


def jpegs() -> Iterator[bytes]:
    """Each with a byte behind it that says how the decoder is called (native_jpeg.c)."""
    for number, body in enumerate(_jpegs()):
        yield body + bytes([number * 37 % WAYS])


def png_rows() -> Iterator[bytes]:
    """Of each filter and number of channels, with the two bytes before them that native_png.c reads."""
    noise = np.random.default_rng(1).bytes(5 * 7 * 4)
    for number, channels in enumerate((1, 3, 4)):
        length = 7 * channels
        rows = [bytes([filter]) + noise[filter * length :][:length] for filter in range(5)]
        yield bytes([number, 7]) + b"".join(rows)
        for row in rows:
            yield bytes([number, 7]) + row * 3


def _jpegs() -> Iterator[bytes]:
    """Baseline and progressive, grey and every usual sampling, restart marks, odd sizes, optimised tables."""
    for width, height in _SIZES:
        pixels = picture(width, height)
        for progressive in (0, 1):
            for sampling in _SAMPLINGS:
                yield by_opencv(pixels, sampling, progressive=progressive)
            yield by_opencv(pixels[:, :, 0], progressive=progressive)
            yield by_opencv(pixels, 0x221111, progressive=progressive, restart=1)
    pixels = picture(50, 40)
    for options in (
        {"quality": 100, "subsampling": 0},
        {"quality": 1},
        {"optimize": True},
        {"progressive": True, "quality": 30},
        {"progressive": True, "quality": 100, "subsampling": 0},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3, "progressive": True},
        {"keep_rgb": True},
        {"exif": b"Exif\0\0", "comment": b"words"},
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", **options)
        yield file.getvalue()
    file = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(file, "JPEG")
    yield file.getvalue()


def by_opencv(
    pixels: np.ndarray, sampling: int | None = None, quality: int = 80, progressive: int = 0, restart: int = 0
) -> bytes:
    """A JPEG as OpenCV writes it; ``sampling``: of its three components, a digit each way."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    flags += [cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    if sampling is not None:
        flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", pixels, flags)[1].tobytes()

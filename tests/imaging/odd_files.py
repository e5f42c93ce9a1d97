"""Builds odd image files by hand or with Pillow, and measures how close two pictures are.

The pictures' pixels are known before they are encoded, so that a test compares with them and not with
what some decoder made of the file.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from PIL import Image

from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.options import ImageOptions
from tests.pictures import photograph_pixels

Pixels = np.ndarray[Any, Any]

# Odd sides, not divisible by a JPEG's blocks.
RGB: Pixels = photograph_pixels(97, 61, 3)
GREY: Pixels = RGB[:, :, 1]
ALPHA: Pixels = ((np.arange(61)[:, None] * 4 + np.arange(97) * 3) % 256).astype(np.uint8)


def process(body: bytes | bytearray, boxes: Any = None, **settings: Any) -> Any:
    """One image through a processor of its own."""
    return ImageProcessor(ImageOptions(**{"exact_resize": True, **settings}))(body, boxes)


def stored(body: bytes | bytearray, boxes: Any = None, **settings: Any) -> Pixels:
    """The pixels that are stored: PNG without resize unless told otherwise; grey or RGB."""
    settings = {"resize_mode": "no", "encode_format": "png", "encode_quality": 1, **settings}
    return decoded(process(body, boxes, **settings).image)


def failure(body: bytes | bytearray, boxes: Any = None, **settings: Any) -> str:
    """The message an image fails with."""
    try:
        process(body, boxes, **settings)
    except ImageFailure as reason:
        return reason.failure
    raise AssertionError("the image did not fail")


def decoded(image: bytes | memoryview) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB; 99 for equal pictures. Grey and colour compare as colour."""
    one, other = (
        np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels for pixels in (one, other)
    )
    assert one.shape == other.shape
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def saved(pixels: Pixels | Image.Image, image_format: str, **options: Any) -> bytes:
    """Encoded by Pillow."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def with_alpha(pixels: Pixels, alpha: Pixels = ALPHA) -> Pixels:
    return np.dstack([pixels, alpha])


def on_white(pixels: Pixels, alpha: Pixels = ALPHA) -> Pixels:
    share = alpha / 255.0
    if pixels.ndim == 3:
        share = share[:, :, None]
    composed: Pixels = pixels * share + 255 * (1 - share)
    return composed


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    rows: list[bytes], width: int, bits: int, colours: int, extra: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG of raw rows: colours 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", data)
        + after
        + png_chunk(b"IEND", b"")
    )


def sixteen_bits(pixels: Pixels, low_byte: int | None = None) -> list[bytes]:
    """Rows of big-endian 16-bit samples: the value twice, or with ``low_byte`` below it."""
    low = pixels if low_byte is None else np.full_like(pixels, low_byte)
    return [bytes(row) for row in np.stack([pixels, low], axis=-1).reshape(pixels.shape[0], -1)]


GIF_PALETTE = [(0, 0, 255), (60, 90, 205), (120, 180, 155), (180, 14, 105)]


def gif_frame(left: int, top: int, indexes: Pixels, transparent: int | None = None) -> bytes:
    """One frame of 2-bit indexes, in LZW codes that are never longer than 3 bits."""
    height, width = indexes.shape
    codes = []
    for number, index in enumerate(indexes.reshape(-1).tolist()):
        # A clear code before every second pixel keeps the code table from growing.
        codes += [4, index] if number % 2 == 0 else [index]
    bits = sum(code << 3 * place for place, code in enumerate([*codes, 5]))
    data = bits.to_bytes((3 * (len(codes) + 1) + 7) // 8, "little")
    blocks = b"".join(
        bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)
    )
    control = b"" if transparent is None else b"\x21\xf9\x04\x01\0\0" + bytes([transparent, 0])
    return control + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02" + blocks + b"\0"


def gif(width: int, height: int, *frames: bytes, background: int = 0) -> bytes:
    palette = bytes(value for colour in GIF_PALETTE for value in colour)
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x81, background, 0)
        + palette
        + b"".join(frames)
        + b";"
    )


def ico(*payloads: bytes) -> bytes:
    """An icon whose directory says 16 x 16 of every image in it."""
    offset = 6 + 16 * len(payloads)
    directory = struct.pack("<HHH", 0, 1, len(payloads))
    for payload in payloads:
        directory += struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(payload), offset)
        offset += len(payload)
    return directory + b"".join(payloads)


def jpeg_without(body: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of this marker."""
    start = body.index(bytes([0xFF, marker]))
    return body[:start] + body[start + 2 + int.from_bytes(body[start + 2 : start + 4], "big") :]


def jpeg_with_segment(body: bytes, marker: int, data: bytes) -> bytes:
    return body[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + body[2:]


def tiff(tags: list[tuple[int, int, int, int]]) -> bytes:
    """A TIFF of one directory and nothing else: (tag, type, count, value) each."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"

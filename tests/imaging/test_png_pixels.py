"""Plain PNGs give the pixels that OpenCV gives; what is not plain or not whole is left to it."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageProcessor, ImageSettings
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.png_pixels import decode_png
from tests.pictures import photograph_pixels

CHANNELS = {"L": (0, 1), "RGB": (2, 3), "RGBA": (6, 4)}
SIZES = [(1, 1), (1, 37), (53, 1), (129, 67)]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels: np.ndarray, filters: list[int], colours: int, parts: int = 1) -> bytes:
    """A file whose row r is filtered by ``filters[r % len(filters)]``, its data in several chunks."""
    height, width, channels = pixels.shape
    above, rows = np.zeros((width, channels), np.uint8), b""
    for y in range(height):
        row = pixels[y]
        left = np.vstack([np.zeros((1, channels), np.uint8), row[:-1]])
        corner = np.vstack([np.zeros((1, channels), np.uint8), above[:-1]])
        a, b, c = (values.astype(int) for values in (left, above, corner))
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        number = filters[y % len(filters)]
        predicted = [np.zeros_like(a), a, b, (a + b) // 2, paeth][number]
        rows += bytes([number]) + (row - predicted).astype(np.uint8).tobytes()
        above = row
    data = zlib.compress(rows)
    cuts = [len(data) * part // parts for part in range(parts + 1)]
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(chunk(b"IDAT", data[a:b]) for a, b in pairwise(cuts)),
            chunk(b"IEND", b""),
        ]
    )


def picture(mode: str, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    pixels = photograph_pixels(max(8, width), max(8, height))[:height, :width]
    alpha = np.arange(width * height, dtype=np.uint32).reshape(height, width, 1) % 256
    four = np.concatenate([pixels, alpha.astype(np.uint8)], axis=2)
    return four[:, :, :1] if mode == "L" else four[:, :, : CHANNELS[mode][1]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("filters", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0]])
@pytest.mark.parametrize("mode", CHANNELS)
def test_every_filter_and_kind_gives_the_pixels_of_opencv(mode, filters, size):
    body = png(picture(mode, size), filters, CHANNELS[mode][0], parts=3)
    pixels = decode_png(body)
    assert pixels is not None
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == expected.shape
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_photograph_of_another_writer_gives_the_pixels_of_opencv(level):
    file = io.BytesIO()
    Image.fromarray(photograph_pixels(411, 300)).save(file, "PNG", compress_level=level)
    expected = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decode_png(file.getvalue()), expected)


def without(body: bytes, name: bytes) -> bytes:
    at = body.index(name) - 4
    return body[:at] + body[at + 12 + struct.unpack_from(">I", body, at)[0] :]


def odd_files() -> dict[str, bytes]:
    whole = png(picture("RGB", (40, 30)), [4], 2)
    data = whole.index(b"IDAT") + 4
    header, rest = whole[:33], whole[33:]
    short = zlib.compress(bytes(121 * 29))
    long = zlib.compress(bytes(121 * 31))
    end = chunk(b"IEND", b"")
    return {
        "a checksum of the data is wrong": whole[:data] + bytes([whole[data] ^ 1]) + whole[data + 1 :],
        "a checksum of the header is wrong": whole[:30] + b"\0\0\0" + whole[33:],
        "too few rows": header + chunk(b"IDAT", short) + end,
        "too many rows": header + chunk(b"IDAT", long) + end,
        "the stream is cut": header + chunk(b"IDAT", short[:-6]) + end,
        "no data": without(whole, b"IDAT"),
        "no end": whole[:-12],
        "a filter there is none of": header + chunk(b"IDAT", zlib.compress(bytes([9] * 121 * 30))) + end,
        "a transparent colour": header + chunk(b"tRNS", bytes(6)) + rest,
        "an unknown chunk that matters": header + chunk(b"XYZW", b"") + rest,
    }


ODD = odd_files()


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_what_is_not_plain_or_not_whole_is_left_to_opencv(body):
    assert decode_png(body) is None


@pytest.mark.parametrize("options", [{"interlace": True}, {"bits": 16}, {"palette": True}], ids=str)
def test_other_kinds_are_left_to_opencv(options):
    image = Image.fromarray(photograph_pixels(40, 30))
    if "palette" in options:
        image = image.convert("P")
    file = io.BytesIO()
    image.save(file, "PNG")
    body = bytearray(file.getvalue())
    if "interlace" in options:
        body[28] = 1
    elif "bits" in options:
        body[24] = 16
    body[29:33] = struct.pack(">I", zlib.crc32(body[12:29]))
    assert decode_png(bytes(body)) is None


def test_a_stream_that_inflates_to_far_more_than_the_image_is_not_inflated():
    body = png(picture("RGB", (40, 30)), [0], 2)
    bomb = body[:33] + chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9)) + chunk(b"IEND", b"")
    assert decode_png(bomb) is None


def test_a_damaged_file_fails_as_a_row_does():
    with pytest.raises(ImageFailure, match="decode"):
        ImageProcessor(ImageSettings())(ODD["no data"])

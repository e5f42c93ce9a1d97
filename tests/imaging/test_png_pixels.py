"""Plain PNGs give the pixels that OpenCV gives; what is not plain or not whole is left to it."""

from __future__ import annotations

import io
import itertools
import struct
import time
import zlib
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageProcessor, png_pixels
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.png_pixels import decode_png
from img2dataset.options import ImageOptions
from tests.imaging.odd_files import psnr, stored
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
        "an unknown chunk that matters": header + chunk(b"XYZW", b"") + rest,
    }


ODD = odd_files()


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_what_is_not_plain_or_not_whole_is_left_to_opencv(body):
    assert decode_png(body) is None


def outcome(body: bytes) -> Any:
    """The stored pixels, or the message of the failure."""
    try:
        return stored(body)
    except ImageFailure as reason:
        return reason.failure


def alike(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, str) or isinstance(other, str) else np.array_equal(one, other)


ANIMATED = chunk(b"acTL", struct.pack(">II", 2, 0))


def frame(number: int, width: int = 40, height: int = 30) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 0))


def frame_data(number: int, pixels: np.ndarray) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return chunk(b"fdAT", struct.pack(">I", number) + zlib.compress(rows))


def with_chunks() -> dict[str, bytes]:
    """Whole files with something beside their pixels."""
    files = {}
    for mode in CHANNELS:
        pixels = picture(mode, (40, 30))
        whole = png(pixels, [4], CHANNELS[mode][0])
        header, rest, end = whole[:33], whole[33:-12], whole[-12:]
        other = frame_data(1, pixels[::-1]) + frame(2) + frame_data(3, pixels[::-1])
        before = {
            "gamma": chunk(b"gAMA", struct.pack(">I", 220_000)),
            "colours of another space": chunk(b"cICP", bytes([9, 16, 0, 1])),
            "a damaged profile": chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")),
            "significant bits": chunk(b"sBIT", b"\5" * CHANNELS[mode][1]),
            "a background": chunk(b"bKGD", b"\0\5" * (1 if mode == "L" else 3)),
            "a name of small letters": chunk(b"abcd", b"x"),
            "a name of no letters": chunk(b"a\xffCd", b"x"),
            "a text of a wrong checksum": chunk(b"tEXt", b"a\0b")[:-1] + b"x",
            "an animation": ANIMATED + frame(0),
            "an animation that ends early": ANIMATED + frame(0, 41, 31),
        }
        files |= {f"{mode}, {name}": header + extra + rest + end for name, extra in before.items()}
        files[f"{mode}, a default image"] = header + ANIMATED + rest + frame(0) + other + end
        files[f"{mode}, an animation, all"] = (
            header + ANIMATED + frame(0) + rest + frame(1) + frame_data(2, pixels[::-1]) + end
        )
        data = rest.index(b"IDAT") + 4
        window = bytes([0x08, 0x1D]) + rest[data + 2 : -4]
        files[f"{mode}, a window said too small"] = header + chunk(b"IDAT", window) + end
    return files


WITH_CHUNKS = with_chunks()


@pytest.mark.parametrize("name", WITH_CHUNKS)
def test_what_stands_beside_the_pixels_does_not_change_them(name):
    mode = name.split(",")[0]
    expected = stored(png(picture(mode, (40, 30)), [0], CHANNELS[mode][0]))
    assert np.array_equal(stored(WITH_CHUNKS[name]), expected)


def of_depth(colours: int, bits: int, interlace: int, transparent: bytes | None) -> bytes:
    """A file of bytes that mean something in any depth."""
    random = np.random.default_rng(1)
    file = png_pixels._File(19, 13, bits, colours, bool(interlace), b"", b"", b"")
    rows = bytearray(random.integers(0, 256, file.length, np.uint8).tobytes())
    position = 0
    for x, y, across, down in png_pixels._PASSES if interlace else ((0, 0, 1, 1),):
        width, height = -(-(19 - x) // across), -(-(13 - y) // down)
        for _ in range(height):
            rows[position] = 0  # no filter
            position += 1 + (width * png_pixels._SAMPLES[colours] * bits + 7) // 8
    assert position == len(rows)
    palette = random.integers(0, 256, 3 << min(bits, 8), np.uint8).tobytes()
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 19, 13, bits, colours, 0, 0, interlace)),
            chunk(b"PLTE", palette) if colours == 3 else b"",
            chunk(b"tRNS", transparent) if transparent else b"",
            chunk(b"IDAT", zlib.compress(bytes(rows))),
            chunk(b"IEND", b""),
        ]
    )


TRANSPARENT = {0: b"\0\1", 2: b"\0\1" * 3, 3: b"\x40\x80"}
DEPTHS = {
    f"colours {colours}, {bits} bits, interlace {interlace}, transparent {transparent is not None}": of_depth(
        colours, bits, interlace, transparent
    )
    for colours, bits_of in png_pixels._DEPTHS.items()
    for bits, interlace in itertools.product(bits_of, (0, 1))
    for transparent in dict.fromkeys((None, TRANSPARENT.get(colours)))
}


@pytest.mark.parametrize("name", DEPTHS)
def test_every_depth_and_colour_gives_the_pixels_of_opencv(name):
    body = DEPTHS[name]
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decode_png(body), expected)
    # Pillow takes the transparent value of 2 and 4 bits for one of 8, and cuts 16 bits.
    doubtful = "16 bits" in name or ("colours 0, " in name and "transparent True" in name)
    if not doubtful:
        image = Image.open(io.BytesIO(body)).convert("RGBA")
        theirs = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        assert psnr(stored(body), np.asarray(theirs)) > 48


@pytest.mark.parametrize("body", [*ODD.values(), *WITH_CHUNKS.values(), *DEPTHS.values()])
def test_verdict_and_pixels_are_the_same_without_the_library(body, monkeypatch):
    with_library = outcome(body)
    monkeypatch.setattr(png_pixels, "native_library", lambda: None)
    assert alike(outcome(body), with_library)


@pytest.mark.parametrize("kind", ["plain", "palette", "interlaced"])
def test_what_is_behind_the_pixels_is_not_inflated(kind):
    colours, interlace = (3 if kind == "palette" else 2), int(kind == "interlaced")
    file = png_pixels._File(40, 30, 8, colours, bool(interlace), b"", b"", b"")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, colours, 0, 0, interlace))
    squeezer = zlib.compressobj(9)
    data = squeezer.compress(bytes(file.length))
    data += squeezer.flush(zlib.Z_FULL_FLUSH)
    # Zeros that refer to nothing before them can be said a thousand times.
    data += (squeezer.compress(bytes(10_000_000)) + squeezer.flush(zlib.Z_FULL_FLUSH)) * 1000
    body = b"\x89PNG\r\n\x1a\n" + header + (chunk(b"PLTE", b"\1\2\3") if kind == "palette" else b"")
    body += chunk(b"IDAT", data) + chunk(b"IEND", b"")
    before = time.thread_time()
    assert np.array_equal(stored(body), np.full((30, 40, 3), [1, 2, 3] if kind == "palette" else 0))
    # A gigabyte takes a third of a second and more, and these are ten.
    assert time.thread_time() - before < 1


@pytest.mark.parametrize("mode", CHANNELS)
def test_a_file_of_several_bands_gives_the_pixels_of_opencv(mode):
    pixels = np.tile(picture(mode, (129, 67)), (40, 15, 1))
    assert pixels.nbytes > png_pixels._BAND_BYTES
    body = cv2.imencode(".png", pixels)[1].tobytes()
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decode_png(body), expected)


def test_a_damaged_file_fails_as_a_row_does():
    with pytest.raises(ImageFailure, match="decode"):
        ImageProcessor(ImageOptions(exact_resize=True))(ODD["no data"])

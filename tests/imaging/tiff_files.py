"""Makes a TIFF of any samples, with any value in any field that a decoder may overlook."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Samples = np.ndarray[Any, Any]

NONE, CCITT_1D, GROUP_3, GROUP_4, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE = (
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    32773,
    32946,
)


def lzw(data: bytes) -> bytes:
    """Codes of nine bits: the table is cleared before it needs more."""
    codes = []
    for at in range(0, len(data), 200):
        codes += [256, *data[at : at + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def packbits(data: bytes) -> bytes:
    """Literal runs, and one run of repeats at the end."""
    out = b""
    body, last = data[:-3], data[-3:]
    for at in range(0, len(body), 128):
        part = body[at : at + 128]
        out += bytes([len(part) - 1]) + part
    repeated = len(last) == 3 and len(set(last)) == 1
    return out + (bytes([256 - 2, last[0]]) if repeated else bytes([len(last) - 1]) + last)


CODECS: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    DEFLATE: zlib.compress,
    OLD_DEFLATE: zlib.compress,
    LZW: lzw,
    PACKBITS: packbits,
}


def fax(bits: Samples, compression: str) -> bytes:
    """One strip of these bits, by Pillow."""
    file = io.BytesIO()
    Image.fromarray(bits == 1).save(
        file, "TIFF", compression=compression, strip_size=1 << 20, tiffinfo={262: 1}
    )
    with Image.open(io.BytesIO(file.getvalue())) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        place, length = tags[273], tags[279]
        assert (len(place), tags[262]) == (1, 1)
    return file.getvalue()[place[0] : place[0] + length[0]]


def packed(samples: Samples, bits: int, order: str) -> bytes:
    """Rows of numbers of so many bits, each row filled up to whole bytes."""
    rows = samples.reshape(samples.shape[0], -1)
    if bits == 8:
        return rows.astype(np.uint8).tobytes()
    if bits in (16, 32):
        return rows.astype(f"{order}u{bits // 8}").tobytes()
    single = (rows[:, :, None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(single.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def pieces(samples: Samples, rows_a_strip: int, tile: tuple[int, int] | None) -> list[Samples]:
    height, width = samples.shape[:2]
    if tile is None:
        return [samples[top : top + rows_a_strip] for top in range(0, height, rows_a_strip)]
    across, down = tile
    padded = np.pad(samples, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    return [
        padded[top : top + down, left : left + across]
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def difference(samples: Samples, bits: int) -> Samples:
    """The horizontal predictor."""
    changed = samples.astype(np.int64)
    changed[:, 1:] -= samples[:, :-1].astype(np.int64)
    return changed & ((1 << bits) - 1)


def tiff_file(
    samples: Samples,
    bits: int,
    photometric: int,
    *,
    compression: int = NONE,
    planar: int = 1,
    tile: tuple[int, int] | None = None,
    rows_a_strip: int = 1 << 20,
    order: str = "<",
    big: bool = False,
    predictor: int = 1,
    fill_order: int = 1,
    data: list[bytes] | None = None,
    fields: dict[int, tuple[int, list[int]] | None] | None = None,
) -> bytes:
    """A TIFF of one image.

    Args:
        samples: whole numbers of shape (height, width, samples).
        data: the pieces as they stand in the file, in place of those made of ``samples``.
        fields: tag → (type, values) for what else is said, or None for a tag that is left out.
    """
    height, width, count = samples.shape
    planes = [samples[:, :, n : n + 1] for n in range(count)] if planar == 2 else [samples]
    if data is None:
        data = []
        for plane in planes:
            for piece in pieces(plane, min(rows_a_strip, height), tile):
                values = difference(piece, bits) if predictor == 2 else piece
                data.append(CODECS[compression](packed(values, bits, order)))
    if fill_order == 2:
        table = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
        data = [piece.translate(table) for piece in data]
    said: dict[int, tuple[int, list[int]] | None] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [compression]),
        262: (3, [photometric]),
        266: (3, [fill_order]),
        277: (3, [count]),
        284: (3, [planar]),
        317: (3, [predictor]),
    }
    if tile is None:
        said |= {273: (4, []), 278: (4, [min(rows_a_strip, height)]), 279: (4, [len(each) for each in data])}
    else:
        said |= {322: (3, [tile[0]]), 323: (3, [tile[1]])}
        said |= {324: (4, []), 325: (4, [len(each) for each in data])}
    return _written(said | (fields or {}), data, order, big)


def _written(
    said: dict[int, tuple[int, list[int]] | None], data: list[bytes], order: str, big: bool
) -> bytes:
    start = 16 if big else 8
    places, at = [], start
    for piece in data:
        places.append(at)
        at += len(piece)
    body = b"".join(data)
    letters = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}
    inside, entry = (8, "HHQ") if big else (4, "HHI")
    entries = b""
    for tag, value in sorted(said.items()):
        if value is None:
            continue
        kind, numbers = value
        if tag in (273, 324) and not numbers:
            numbers = places
        stored = struct.pack(f"{order}{len(numbers)}{letters[kind]}", *numbers)
        if len(stored) > inside:
            place, body = start + len(body), body + stored
            stored = struct.pack(order + ("Q" if big else "I"), place)
        entries += struct.pack(order + entry, tag, kind, len(numbers)) + stored.ljust(inside, b"\0")
    count = len(entries) // (20 if big else 12)
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, start + len(body))
        return head + body + struct.pack(order + "Q", count) + entries + bytes(8)
    head = mark + struct.pack(order + "HI", 42, start + len(body))
    return head + body + struct.pack(order + "H", count) + entries + bytes(4)

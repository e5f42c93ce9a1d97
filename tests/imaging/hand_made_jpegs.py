"""JPEGs put together by hand, segment by segment (ITU-T T.81, annex B): what no encoder writes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

START, END = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def quantisation(step: int = 1) -> bytes:
    """Table 0, all of one step, in 16 bits where it takes them."""
    return segment(
        0xDB, b"\x10" + struct.pack(">H", step) * 64 if step > 255 else b"\0" + bytes((step,)) * 64
    )


def one_symbol(is_ac: bool, symbol: int) -> bytes:
    """Huffman table 0 of one code, the bit 0."""
    return segment(0xC4, bytes((is_ac << 4, 1)) + bytes(15) + bytes((symbol,)))


def frame(marker: int, width: int, height: int, factors: Sequence[int] = (0x11,), bits: int = 8) -> bytes:
    """``factors``: of each component, sampling across in the upper digit and down in the lower."""
    components = b"".join(bytes((number, factor, 0)) for number, factor in enumerate(factors, 1))
    return segment(marker, struct.pack(">BHHB", bits, height, width, len(factors)) + components)


def scan(components: Sequence[int], first: int, last: int, high: int, low: int, bits: str) -> bytes:
    """``bits``: of 0 and 1, filled up with ones; what must be stuffed is."""
    header = bytes((len(components),)) + b"".join(bytes((number, 0)) for number in components)
    bits += "1" * (-len(bits) % 8)
    data = int("0" + bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return segment(0xDA, header + bytes((first, last, high << 4 | low))) + data


def grey(width: int, height: int, blocks: Sequence[str], step: int = 1, dc: int = 0, ac: int = 0) -> bytes:
    """A sequential file; ``dc`` and ``ac``: the only symbols, each the bit 0."""
    tables = quantisation(step) + one_symbol(False, dc) + one_symbol(True, ac)
    return START + tables + frame(0xC0, width, height) + scan([1], 0, 63, 0, 0, "".join(blocks)) + END


def scans_apart(planes: Sequence[bytes]) -> bytes:
    """One sequential file of grey ones with the same tables and size: each component in its own scan."""
    starts = [plane.index(b"\xff\xda") for plane in planes]
    frame_at = planes[0].index(b"\xff\xc0")
    tables = planes[0][frame_at + 13 : starts[0]]
    height, width = struct.unpack_from(">HH", planes[0], frame_at + 5)
    body = planes[0][:frame_at] + frame(0xC0, width, height, [0x11] * len(planes)) + tables
    for number, (plane, start) in enumerate(zip(planes, starts, strict=True), 1):
        body += segment(0xDA, bytes((1, number, 0, 0, 63, 0))) + plane[start + 10 : -2]
    return body + END

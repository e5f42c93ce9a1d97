"""JPEG: XMP in APP1 segments (ISO 16684-3) and JUMBF in APP11 (ISO/IEC 19566-5, annex D).

Both stand before the first scan. A packet beyond 64 KB goes on in segments of extended XMP, a box beyond it
in segments with its number.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from img2dataset.imaging.consent.blocks import MOST_PARTS, Blocks

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENDED_HEAD = struct.Struct(">32sII")  # digest of the whole, its length, where this part begins
_NAMES_EXTENDED = re.compile(rb"HasExtendedXMP[^0-9A-Za-z]{1,10}([0-9A-Fa-f]{32})")
_BOXES = b"JP"
_BOX_HEAD = struct.Struct(">2sHII4s")  # mark, number of the box, of the part, the box's length and kind
_APP1, _APP11, _SCAN, _END = 0xE1, 0xEB, 0xDA, 0xD9
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})


def blocks_of_jpeg(body: bytes | bytearray, blocks: Blocks) -> None:
    """Fill ``blocks``.

    Raises:
        struct.error, IndexError: the file ends before its first scan.
    """
    view = memoryview(body)
    extended: dict[bytes, list[tuple[int, memoryview]]] = {}
    boxes: dict[tuple[int, bytes], list[tuple[int, memoryview]]] = {}
    try:
        for marker, start, end in _segments(body):
            if marker == _APP1:
                if body.startswith(_XMP, start):
                    blocks.add_xmp(view[start + len(_XMP) : end])
                elif body.startswith(_EXTENDED, start):
                    start += len(_EXTENDED)
                    digest, _, offset = _EXTENDED_HEAD.unpack_from(body, start)
                    extended.setdefault(digest, []).append((offset, view[start + _EXTENDED_HEAD.size : end]))
            elif body.startswith(_BOXES, start):
                _, number, part, _, kind = _BOX_HEAD.unpack_from(body, start)
                boxes.setdefault((number, kind), []).append((part, view[start + 8 : end]))
    finally:
        _add_extended(extended, blocks)
        _add_boxes(boxes, blocks)


def _segments(body: bytes | bytearray) -> Iterator[tuple[int, int, int]]:
    """The marker of each APP1 and APP11, and where its content starts and ends."""
    position = 2
    for _ in range(MOST_PARTS):
        if body[position] != 0xFF:
            position = body.find(b"\xff", position)
            if position < 0:
                return
        marker = body[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _ALONE:
            position += 2
        elif marker in (_SCAN, _END):
            return
        else:
            length = body[position + 2] << 8 | body[position + 3]
            if length < 2:
                return
            if marker in (_APP1, _APP11):
                yield marker, position + 4, position + 2 + length
            position += 2 + length


def _add_extended(extended: dict[bytes, list[tuple[int, memoryview]]], blocks: Blocks) -> None:
    """Keep those that a packet of the file names by digest; others are left over from an earlier edit."""
    named = {digest for packet in blocks.xmp for digest in _NAMES_EXTENDED.findall(packet)}
    for digest in extended.keys() & named:
        joined: list[memoryview] = []
        length = 0
        for offset, part in sorted(extended[digest], key=lambda each: each[0]):
            if offset == length and length < blocks.xmp_left:
                joined.append(part)
                length += len(part)
        blocks.add_xmp(*joined)


def _add_boxes(boxes: dict[tuple[int, bytes], list[tuple[int, memoryview]]], blocks: Blocks) -> None:
    for parts in boxes.values():
        parts.sort(key=lambda each: each[0])
        first = parts[0][1]
        # Each part begins with the head of the box again; a length of 1 says that 8 bytes more of it follow.
        head = 16 if first[:4].tobytes() == b"\0\0\0\x01" else 8
        blocks.add_c2pa(first, *(part[head:] for _, part in parts[1:]))

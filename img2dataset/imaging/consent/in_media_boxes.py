"""AVIF, HEIF and other files of boxes: XMP as an item (ISO/IEC 23008-12, annex A) or in a uuid box, as C2PA.

Of the items the table ``iinf`` says which is XMP, and ``iloc`` where in the file, or in ``idat``, it stands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from img2dataset.imaging.consent.blocks import Blocks
from img2dataset.imaging.consent.boxes import boxes_in

_MOST_BOXES = 4_096
# Large pictures are grids of some hundred items.
_MOST_ITEMS = 16_384
# Of all items together.
_MOST_EXTENTS = 16_384
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_XMP_TYPE = b"application/rdf+xml"
_IN_FILE, _IN_IDAT = 0, 1


def blocks_of_media_boxes(body: bytes | bytearray, blocks: Blocks) -> None:
    """Fill ``blocks``.

    Raises:
        struct.error: a table of items ends early.
    """
    view = memoryview(body)
    tables = []
    for kind, content in boxes_in(view, _MOST_BOXES):
        if kind == b"uuid" and content[:16] == _C2PA:
            _add_c2pa(content[16:], blocks)
        elif kind == b"uuid" and content[:16] == _XMP:
            blocks.add_xmp(content[16:])
        elif kind == b"meta":
            tables.append(content[4:])
    for content in tables:
        _add_items(view, content, blocks)


def _add_c2pa(content: memoryview, blocks: Blocks) -> None:
    # Version and flags, what the box is for, and for a manifest the place of another box.
    purpose, zero, _ = bytes(content[4:64]).partition(b"\0")
    if purpose == b"manifest" and zero:
        blocks.add_c2pa(content[4 + len(purpose) + 1 + 8 :])


def _add_items(file: memoryview, meta: memoryview, blocks: Blocks) -> None:
    boxes = dict(reversed(list(boxes_in(meta, _MOST_BOXES))))
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return
    wanted = set(_xmp_items(boxes[b"iinf"]))
    if not wanted:
        return
    sources = {_IN_FILE: file, _IN_IDAT: boxes.get(b"idat", file[:0])}
    for item, method, extents in _places(boxes[b"iloc"]):
        if item in wanted and method in sources:
            source = sources[method]
            # A length of 0: to the end.
            parts = (source[start : start + length if length else None] for start, length in extents)
            blocks.add_xmp(*parts)


def _xmp_items(table: memoryview) -> Iterator[int]:
    """The numbers of the items that are XMP."""
    start = 6 if table[:1].tobytes() == b"\0" else 8
    for kind, content in boxes_in(table[start:], _MOST_ITEMS):
        if kind != b"infe" or len(content) < 12 or content[0] not in (2, 3):
            continue
        long = content[0] == 3
        (item,) = struct.unpack_from(">I" if long else ">H", content, 4)
        at = 10 if long else 8  # behind the number and two bytes of protection
        if content[at : at + 4].tobytes() == b"mime":
            _name, _, rest = bytes(content[at + 4 : at + 1024]).partition(b"\0")
            if rest.partition(b"\0")[0] == _XMP_TYPE:
                yield item


@dataclass(slots=True)
class _Numbers:
    """Reads numbers of so many bytes, one after the other."""

    data: memoryview
    position: int

    def next(self, size: int) -> int:
        end = self.position + size
        if end > len(self.data):
            raise struct.error("the table ends early")
        number = int.from_bytes(self.data[self.position : end], "big")
        self.position = end
        return number


def _places(table: memoryview) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """The number of each item, what its places are in, and its places as (start, length)."""
    numbers = _Numbers(table, 0)
    version = numbers.next(4) >> 24
    sizes = numbers.next(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    extents_left = _MOST_EXTENTS
    for _ in range(min(numbers.next(wide), _MOST_ITEMS)):
        item = numbers.next(wide)
        method = numbers.next(2) & 15 if version in (1, 2) else _IN_FILE
        numbers.next(2)  # a number of the file that it stands in, which is this one
        base = numbers.next(base_size)
        extents = []
        count = numbers.next(2)
        extents_left -= count
        # Extents that take no bytes in the table cost a file nothing: 300 bytes could have any number.
        takes_none = offset_size + length_size + (index_size if version in (1, 2) else 0) == 0
        if extents_left < 0 or (takes_none and count > 1):
            return
        for _ in range(count):
            if version in (1, 2):
                numbers.next(index_size)
            start = base + numbers.next(offset_size)
            extents.append((start, numbers.next(length_size)))
        yield item, method, extents

"""The first directory of a TIFF or BigTIFF: bytes come in, tags with their values go out (TIFF 6.0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from img2dataset.imaging.formats.header import Malformed

# Types that a size or a flag may come in: BYTE, SHORT, LONG, and those that decoders take as well: the signed
# ones, IFD, and the 64 bits of BigTIFF. A size in a type that is not read here would escape every limit.
INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_BYTES = 7
_SIZES = frozenset({256, 257})
# Real files have some tens.
_MOST_TAGS = 1_000


@dataclass(frozen=True, slots=True)
class Directory:
    """Tags of a file.

    Attributes:
        body: the file.
        order: ``<`` or ``>``, how its numbers are stored.
        entries: tag → (letter of its type for ``struct``, count, offset); None for other types than integers.
    """

    body: bytes | bytearray
    order: str
    entries: dict[int, tuple[str | None, int, int]]

    def first(self, tag: int, default: int) -> int:
        """The first value of a tag, or 1 where it is no integer."""
        letter, count, offset = self.entries.get(tag, ("", 0, 0))
        if letter is None:
            return 1
        if not count:
            return default
        if offset > len(self.body):  # 2**64 is no offset for struct
            raise struct.error("value beyond the file")
        return int(struct.unpack_from(self.order + letter, self.body, offset)[0])

    def all(self, tag: int, most: int) -> list[int]:
        """The values of a tag, at most so many; none where it is missing or no integer.

        Raises:
            struct.error: they are not in the file.
        """
        letter, count, offset = self.entries.get(tag, (None, 0, 0))
        if letter is None:
            return []
        kind = np.dtype(self.order + letter)
        count = min(count, most)
        if offset + count * kind.itemsize > len(self.body):
            raise struct.error("values beyond the file")
        values: list[int] = np.frombuffer(self.body, kind, count, offset).tolist()
        return values

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag of bytes; empty where it is missing or reaches beyond the file."""
        letter, count, offset = self.entries.get(tag, (None, 0, 0))
        return bytes(self.body[offset : offset + count]) if letter in (None, "B") else b""


def byte_order(body: bytes | bytearray, start: int) -> str:
    """``<`` or ``>``.

    Raises:
        Malformed: neither.
    """
    mark = body[start : start + 2]
    if mark == b"II":
        return "<"
    if mark == b"MM":
        return ">"
    raise Malformed("no byte order")


def read_directory(body: bytes | bytearray) -> Directory:
    """The first directory. Of a tag that comes twice the first counts, as decoders have it.

    Raises:
        struct.error: it is not in the file.
        Malformed: a size is no integer, or there are too many tags.
    """
    order = byte_order(body, 0)
    big = body[2:4] in (b"+\0", b"\0+")
    at, counts, entry_of, inside = (8, "Q", "HHQ", 8) if big else (4, "H", "HHI", 4)
    offsets = "Q" if big else "I"
    (start,) = struct.unpack_from(order + offsets, body, at)
    if start > len(body):
        raise struct.error("directory beyond the file")
    (count,) = struct.unpack_from(order + counts, body, start)
    if count > _MOST_TAGS:
        raise Malformed("too many tags")
    first_entry = start + struct.calcsize(order + counts)
    length = struct.calcsize(order + entry_of) + inside
    entries: dict[int, tuple[str | None, int, int]] = {}
    for entry in range(first_entry, min(first_entry + count * length, len(body) - length + 1), length):
        tag, kind, values = struct.unpack_from(order + entry_of, body, entry)
        letter = INTEGERS.get(kind)
        if letter is None and tag in _SIZES:
            raise Malformed("size")
        if not values or tag in entries:  # decoders pass over a tag without a value
            continue
        size = struct.calcsize(order + (letter or "B"))
        value = entry + length - inside
        if values * size > inside or (letter is None and kind != _BYTES):
            (value,) = struct.unpack_from(order + offsets, body, value)
        entries[tag] = (letter, values, value)
    return Directory(body, order, entries)

"""Boxes, as ISO base media files (ISO/IEC 14496-12) and JUMBF (ISO/IEC 19566-5) are made of."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEAD = struct.Struct(">I4s")
_LONG = struct.Struct(">Q")


def boxes_in(data: memoryview, most: int) -> Iterator[tuple[bytes, memoryview]]:
    """The kind and the content of each box, at most so many; a cut one has what there is of it.

    What is no box ends it.
    """
    position, end = 0, len(data)
    for _ in range(most):
        if position + 8 > end:
            return
        length, kind = _HEAD.unpack_from(data, position)
        head = 8
        if length == 1:
            if position + 16 > end:
                return
            (length,) = _LONG.unpack_from(data, position + 8)
            head = 16
        elif length == 0:  # to the end
            length = end - position
        if length < head:
            return
        yield kind, data[position + head : position + length]
        position += length

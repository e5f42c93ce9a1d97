"""TIFF structures: whole TIFF files, and the EXIF blocks inside of other formats (TIFF 6.0, DC-008)."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import Header, Malformed
from img2dataset.imaging.formats.tiff_directory import INTEGERS, byte_order, read_directory

_ORIENTATION = 0x0112
_PROFILE = 34675


def orientation_of(body: bytes | bytearray, start: int, end: int) -> int:
    """The orientation in the first directory of the EXIF block body[start:end]; 1 if none or nonsense."""
    try:
        order = byte_order(body, start)
        directory = start + int(struct.unpack_from(order + "I", body, start + 4)[0])
        (count,) = struct.unpack_from(order + "H", body, directory)
        entry = directory + 2
        for _ in range(min(count, (end - entry) // 12)):
            tag, kind = struct.unpack_from(order + "HH", body, entry)
            if tag == _ORIENTATION:
                value: int = struct.unpack_from(order + INTEGERS.get(kind, "H"), body, entry + 8)[0]
                return value if 1 <= value <= 8 else 1
            entry += 12
    except (struct.error, Malformed):
        pass
    return 1


def read_tiff(body: bytes | bytearray) -> Header:
    """The first directory of a TIFF or BigTIFF file.

    Its decoder turns it upright, so the sizes here are upright and ``orientation`` is 1.

    Raises:
        struct.error, Malformed: the directory is not in the file.
    """
    directory = read_directory(body)
    width, height = directory.first(256, 0), directory.first(257, 0)
    if directory.first(_ORIENTATION, 1) in (5, 6, 7, 8):
        width, height = height, width
    return Header(
        extension="tiff",
        width=width,
        height=height,
        exif=(0, len(body)) if body[2:4] in (b"*\0", b"\0*") else None,
        bits=directory.first(258, 1),
        profile=_PROFILE in directory.entries,
    )

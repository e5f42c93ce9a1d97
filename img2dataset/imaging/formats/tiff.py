"""TIFF structures: whole TIFF files, and the EXIF blocks inside of other formats (TIFF 6.0, DC-008)."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import Header, Malformed

_ORIENTATION = 0x0112
_PROFILE = 34675
# Types that a size or a flag may come in: BYTE, SHORT, LONG, and those that decoders take as well: the signed
# ones, IFD, and the 64 bits of BigTIFF. A size that were passed over would be one that no limit sees.
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q"}
_SIZES = frozenset({256, 257})
_FLOAT_SAMPLES = 3
# Places and sizes of strips, places and sizes of tiles.
_STRIPS = frozenset({273, 279, 324, 325})
# Real files have some tens; Pillow takes 20 µs for each.
_MOST_TAGS = 1_000


def orientation_of(body: bytes | bytearray, start: int, end: int) -> int:
    """The orientation in the first directory of the EXIF block body[start:end]; 1 if none or nonsense."""
    try:
        order = _byte_order(body, start)
        directory = start + int(struct.unpack_from(order + "I", body, start + 4)[0])
        (count,) = struct.unpack_from(order + "H", body, directory)
        entry = directory + 2
        for _ in range(min(count, (end - entry) // 12)):
            tag, kind = struct.unpack_from(order + "HH", body, entry)
            if tag == _ORIENTATION:
                value: int = struct.unpack_from(order + _INTEGERS.get(kind, "H"), body, entry + 8)[0]
                return value if 1 <= value <= 8 else 1
            entry += 12
    except (struct.error, Malformed):
        pass
    return 1


def read_tiff(body: bytes | bytearray) -> Header:
    """The first directory of a TIFF file.

    Both decoders turn a TIFF upright by themselves, so the sizes here are upright and ``orientation``
    is 1. OpenCV (4.14 and 5.0) multiplies alpha into the colours and forgets grey's, so Pillow decodes
    TIFFs with more than colour.

    Raises:
        struct.error, Malformed: the directory is not in the file.
    """
    fields = _first_directory(body)
    width, height = fields.get(256, 0), fields.get(257, 0)
    if fields.get(_ORIENTATION, 1) in (5, 6, 7, 8):
        width, height = height, width
    bits = fields.get(258, 1)
    return Header(
        extension="tiff",
        width=width,
        height=height,
        exif=(0, len(body)),
        complete=_last_strip_ends(body, fields) <= len(body),
        bits=32 if fields.get(339) == _FLOAT_SAMPLES else bits,
        profile=_PROFILE in fields,
        pillow=338 in fields,
    )


def _last_strip_ends(body: bytes | bytearray, fields: dict[int, int]) -> int:
    """Where the last strip or tile ends, as the directory says, which is not always true."""
    return fields.get(273, fields.get(324, 0)) + fields.get(279, fields.get(325, 0))


def _first_directory(body: bytes | bytearray) -> dict[int, int]:
    """Tag → value, for the tags whose values are integers; 1 for those of other types.

    Of several values the first, of places and sizes of strips and tiles the last. Of a tag that comes twice
    the first, as decoders have it.

    Raises:
        Malformed: a size is no integer, or there are too many tags.
    """
    order = _byte_order(body, 0)
    (directory,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, directory)
    if count > _MOST_TAGS:
        raise Malformed("too many tags")
    fields: dict[int, int] = {}
    entry = directory + 2
    for _ in range(min(count, (len(body) - entry) // 12)):
        tag, kind, values = struct.unpack_from(order + "HHI", body, entry)
        letter = _INTEGERS.get(kind)
        if letter is None:
            if tag in _SIZES:
                raise Malformed("size")
            fields.setdefault(tag, 1)
        elif values and tag not in fields:  # decoders pass over a tag without a value
            # Up to four bytes of values lie in the entry itself, more of them elsewhere.
            size = struct.calcsize(letter)
            place = entry + 8
            if values * size > 4:
                (place,) = struct.unpack_from(order + "I", body, place)
            if tag in _STRIPS:
                place += size * (max(values, 1) - 1)
            (fields[tag],) = struct.unpack_from(order + letter, body, place)
        entry += 12
    return fields


def _byte_order(body: bytes | bytearray, start: int) -> str:
    mark = body[start : start + 2]
    if mark == b"II":
        return "<"
    if mark == b"MM":
        return ">"
    raise Malformed("no byte order")

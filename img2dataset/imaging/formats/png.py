"""PNG: all chunks by name and position (W3C PNG, third edition); no data is decompressed or checked."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.tiff import orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_GREY = 0
_DEPTHS = frozenset({1, 2, 4, 8, 16})


def read_png(body: bytes | bytearray) -> Header:
    """The header of a PNG. EXIF may stand before or after the pixels, so every chunk is stepped over.

    ``complete`` says whether the end chunk was reached. A grey image may name one of its values as
    transparent, which OpenCV passes over: it is handed out in ``transparent_grey``.

    Raises:
        EndsEarly: within the first chunk.
        Malformed: the first chunk is not the header, or it has a bit depth that PNG does not have.
    """
    if len(body) < 33:
        raise EndsEarly
    length, name, width, height, bits, colours = struct.unpack_from(">I4sIIBB", body, 8)
    if name != b"IHDR" or length != 13:
        raise Malformed("no IHDR")
    if bits not in _DEPTHS:
        raise Malformed("bits")
    header = Header(extension="png", width=width, height=height, bits=bits, complete=False)
    position, end = 33, len(body)
    while position + 12 <= end:
        length, name = _CHUNK.unpack_from(body, position)
        if position + 12 + length > end:
            break
        if name == b"IEND":
            header.complete = True
            break
        if name == b"eXIf":
            header.exif = (position + 8, position + 8 + length)
            header.orientation = orientation_of(body, *header.exif)
        elif name == b"iCCP":
            header.profile = True
        elif name == b"tRNS" and colours == _GREY and length >= 2:
            value = body[position + 8] << 8 | body[position + 9]
            # OpenCV spreads 1, 2 and 4 bits over the whole range of 8.
            header.transparent_grey = (
                value if bits == 16 else (value & (1 << bits) - 1) * 255 // ((1 << bits) - 1)
            )
        position += 12 + length
    return header


def without_ancillary(body: bytes | bytearray) -> bytes:
    """The same PNG without what is not its pixels: texts and profiles to inflate, the frames of an animation.

    Call only for a ``complete`` one.
    """
    parts = [bytes(body[:8])]
    position = 8
    while position + 12 <= len(body):
        length, name = _CHUNK.unpack_from(body, position)
        if name[:1].isupper() or name == b"tRNS":
            parts.append(bytes(body[position : position + 12 + length]))
        if name == b"IEND":
            break
        position += 12 + length
    return b"".join(parts)

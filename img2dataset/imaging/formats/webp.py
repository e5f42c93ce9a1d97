"""WebP: the RIFF chunks (RFC 9649)."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.tiff import orientation_of

_CHUNK = struct.Struct("<4sI")
_HAS_PROFILE, _HAS_EXIF = 0x20, 0x08


def read_webp(body: bytes | bytearray) -> Header:
    """The header of a WebP; ``complete`` says whether the file is as long as its first chunk says.

    Raises:
        EndsEarly, struct.error: within the first chunk's header. The smallest files are of 26 bytes.
        Malformed: the first chunk is none that a WebP begins with.
    """
    (size,) = struct.unpack_from("<I", body, 4)
    first = bytes(body[12:16])
    header = Header(extension="webp", width=0, height=0, complete=len(body) >= size + 8)
    if first == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 26)
        header.width, header.height = width & 0x3FFF, height & 0x3FFF
    elif first == b"VP8L":
        (packed,) = struct.unpack_from("<I", body, 21)
        header.width, header.height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    elif first == b"VP8X":
        if len(body) < 30:
            raise EndsEarly
        header.width = int.from_bytes(body[24:27], "little") + 1
        header.height = int.from_bytes(body[27:30], "little") + 1
        header.profile = bool(body[20] & _HAS_PROFILE)
        if body[20] & _HAS_EXIF:
            _find_exif(body, header)
    else:
        raise Malformed("first chunk")
    return header


def _find_exif(body: bytes | bytearray, header: Header) -> None:
    position, end = 12, len(body)
    while position + 8 <= end:
        name, length = _CHUNK.unpack_from(body, position)
        start = position + 8
        if name == b"EXIF":
            stop = min(start + length, end)
            # Some writers keep the prefix that EXIF has in JPEG.
            if body.startswith(b"Exif\0\0", start):
                start += 6
            header.exif = (start, stop)
            header.orientation = orientation_of(body, start, stop)
            return
        position = start + length + (length & 1)

"""JPEG: the segments before the first scan (ITU-T T.81, annex B), and whether the file is all there."""

from __future__ import annotations

from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.tiff import orientation_of

END_OF_IMAGE = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})
_SCAN = 0xDA
# Bytes times pixels from where on empty scans, of ten bytes each, could take seconds. Below, which is most of
# the web, they are not counted: that takes 0.1 ms for 100 KB.
_MANY_SCANS = 200_000_000_000


def read_jpeg(body: bytes | bytearray) -> Header:
    """The header of a JPEG, from its segments; nothing after the first scan's start is looked at but the end.

    The end mark cannot occur inside a scan, so a file without one after its first scan's start is cut.
    What follows the end (thumbnails, films of telephones) does not matter.

    Raises:
        EndsEarly: before the first scan.
        Malformed: no frame, or a segment shorter than its own length field.
    """
    header = Header(extension="jpg", width=0, height=0)
    adobe = False
    components = 0
    progressive = restarts = False
    position = 2
    try:
        while True:
            if body[position] != 0xFF:
                position = body.find(b"\xff", position)
                if position < 0:
                    raise EndsEarly
            marker = body[position + 1]
            if marker == 0xFF:
                position += 1
                continue
            if marker in _ALONE:
                position += 2
                continue
            if marker == 0xD9:
                raise Malformed("ends before the first scan")
            length = body[position + 2] << 8 | body[position + 3]
            if length < 2:
                raise Malformed("segment shorter than its length field")
            if marker == 0xE1:
                if header.exif is None and body.startswith(b"Exif\0", position + 4):
                    header.exif = (position + 10, position + 2 + length)
            elif marker == 0xE2:
                header.profile |= body.startswith(b"ICC_PROFILE\0", position + 4)
            elif marker == 0xEE:
                adobe |= body.startswith(b"Adobe", position + 4)
            elif marker == 0xDD:
                restarts = body[position + 4 : position + 6] != b"\0\0"
            elif marker in _FRAMES:
                header.bits = body[position + 4]
                header.height = body[position + 5] << 8 | body[position + 6]
                header.width = body[position + 7] << 8 | body[position + 8]
                components = body[position + 9]
                progressive = marker not in (0xC0, 0xC1)
            elif marker == _SCAN:
                header.sequential = not progressive and not restarts and body[position + 4] == components
                break
            position += 2 + length
    except IndexError:
        raise EndsEarly from None
    if not components:
        raise Malformed("a scan without a frame")
    header.entropy_start = position
    header.progressive, header.grey = progressive, components == 1
    # Of two bytes at the end nearly always; a search from the end otherwise.
    header.complete = body.endswith(END_OF_IMAGE) or body.rfind(END_OF_IMAGE, position) >= 0
    header.four_inks = components == 4
    header.ink_inverted = adobe
    # OpenCV takes every CMYK file for Adobe's, who store ink inverted; without their mark it is not.
    header.pillow = components == 4 and not adobe
    if header.exif is not None:
        header.orientation = orientation_of(body, *header.exif)
    return header


def most_scans(body: bytes | bytearray, header: Header) -> int:
    """At most how many scans a JPEG has, counted where it could be many; 1 of a small or sequential one."""
    if header.sequential or len(body) * header.width * header.height <= _MANY_SCANS:
        return 1
    return body.count(b"\xff\xda\0", header.entropy_start)

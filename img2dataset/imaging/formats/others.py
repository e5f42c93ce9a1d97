"""JPEG 2000 and ICO; and AVIF, whose header Pillow reads."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats import png
from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.tiff import orientation_of
from img2dataset.imaging.pillow import open_with_pillow

_CODESTREAM = b"\xff\x4f\xff\x51"
_BOX = struct.Struct(">I4s")


def read_jpeg_2000(body: bytes | bytearray) -> Header:
    """A JPEG 2000 codestream, bare or in boxes (ITU-T T.800, annexes A and I)."""
    start, palette = 0, False
    if not body.startswith(_CODESTREAM):
        start, palette = _codestream(body)
    if not body.startswith(_CODESTREAM, start):
        raise Malformed("no codestream")
    right, bottom, left, top = struct.unpack_from(">IIII", body, start + 8)
    (components,) = struct.unpack_from(">H", body, start + 40)
    bits = (body[start + 42] & 0x7F) + 1
    # OpenCV takes neither grey with alpha nor palettes.
    return Header(
        extension="jp2",
        width=right - left,
        height=bottom - top,
        bits=bits,
        # The end marker (EOC) cannot occur within the data.
        complete=body.rfind(b"\xff\xd9", start) >= 0,
        pillow=palette or components == 2,
    )


def _codestream(body: bytes | bytearray) -> tuple[int, bool]:
    position, palette = 0, False
    while True:
        length, name = _BOX.unpack_from(body, position)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", body, position + 8)
            header = 16
        if name == b"jp2c":
            return position + header, palette
        if name == b"jp2h":
            palette = body.find(b"pclr", position, position + length) >= 0
        if length < header:
            raise Malformed("box")
        position += length
        if position > len(body):  # a box can say 2**64, which is no offset for struct
            raise EndsEarly


def read_icon(body: bytes | bytearray) -> Header:
    """The largest image of an icon file, by what the images themselves say, not the directory.

    The directory cannot say more than 256 pixels while the images can be of any size.
    """
    (count,) = struct.unpack_from("<H", body, 4)
    best: Header | None = None
    for entry in range(6, 6 + 16 * min(count, 256), 16):
        size, offset = struct.unpack_from("<II", body, entry + 8)
        if body.startswith(png.SIGNATURE, offset):
            width, height = struct.unpack_from(">II", body, offset + 16)
            payload: tuple[int, int] | None = (offset, offset + size)
        else:
            width, height = struct.unpack_from("<ii", body, offset + 4)
            # Twice the height: the picture, then its mask.
            width, height, payload = abs(width), abs(height) // 2, None
        if best is None or width * height > best.width * best.height:
            best = Header("ico", width, height, pillow=True, payload=payload)
            best.complete = offset + size <= len(body)
    if best is None:
        raise EndsEarly
    return best


def read_avif(body: bytes | bytearray) -> Header:
    """An AVIF, for Pillow to decode: OpenCV does not scale samples of 10 and 12 bits, nor tell how many."""
    position = 0
    while position + 8 <= len(body):
        length, _ = _BOX.unpack_from(body, position)
        # A box of length 0 goes on to the end; one of length 1 says its length elsewhere, which is rare.
        if length < 8:
            break
        position += length
    if position > len(body):
        raise EndsEarly
    # Pillow's lazy open takes 0.1 ms; the format is rare.
    image = open_with_pillow(body, "avif")
    exif = image.info.get("exif")
    header = Header(
        extension="avif",
        width=image.width,
        height=image.height,
        profile=bool(image.info.get("icc_profile")),
        pillow=True,
    )
    if exif:
        block = bytes(exif).removeprefix(b"Exif\0\0")
        header.exif = block
        header.orientation = orientation_of(block, 0, len(block))
    return header

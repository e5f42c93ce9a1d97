"""The headers of TGA, PCX and SGI files. Pillow decodes them; what it overlooks is read here."""

from __future__ import annotations

from img2dataset.failures import UNSUPPORTED, of_format
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.pillow import open_with_pillow

_FOOTER = b"TRUEVISION-XFILE.\0"
_FOOTER_BYTES = 26  # where the extension area begins, where the developer area does, the mark
_ATTRIBUTES_TYPE = 494  # of the extension area: 3 says that the fourth channel is transparency
_STRAIGHT_ALPHA, _PREMULTIPLIED_ALPHA = 3, 4


def read_paint(body: bytes | bytearray, extension: str) -> Header:
    """The header of a file whose format ``image_format`` has told: "tga", "pcx" or "sgi"."""
    if extension == "tga" and body[16] == 15:  # Pillow reads 16 bits, the first unused, and not what says 15
        raise ImageFailure(of_format("tga"))
    image = open_with_pillow(body, extension)
    opaque = extension == "tga" and not _targa_is_transparent(body)
    return Header(extension, image.width, image.height, pillow=True, opaque=opaque)


def _targa_is_transparent(body: bytes | bytearray) -> bool:
    """Whether the fourth channel is more than the filling of 32 bits, by the two fields that say so."""
    if not body[17] & 0x0F:
        return False
    if not body.endswith(_FOOTER):
        return True
    extension_area = int.from_bytes(body[-_FOOTER_BYTES:][:4], "little")
    if not extension_area or extension_area + _ATTRIBUTES_TYPE >= len(body):
        return True
    kind = body[extension_area + _ATTRIBUTES_TYPE]
    if kind == _PREMULTIPLIED_ALPHA:
        raise ImageFailure(UNSUPPORTED)
    return kind == _STRAIGHT_ALPHA

"""The header of any image file: its bytes come in, a ``Header`` goes out. Called once an image.

All but AVIF are parsed here (JPEG: 4 µs where Pillow's open takes 23). A format is told by its first bytes,
never by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from img2dataset.failures import CORRUPT, NOT_AN_IMAGE, TRUNCATED, of_format
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.bmp import read_bmp
from img2dataset.imaging.formats.gif import read_gif
from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.jpeg import read_jpeg
from img2dataset.imaging.formats.others import (
    read_avif,
    read_icon,
    read_jpeg_2000,
)
from img2dataset.imaging.formats.paint import read_paint
from img2dataset.imaging.formats.png import read_png
from img2dataset.imaging.formats.pnm import read_pnm
from img2dataset.imaging.formats.tiff import read_tiff
from img2dataset.imaging.formats.webp import read_webp

_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# Images, but none that can be decoded here.
_UNSUPPORTED = (
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"8BPS", "psd"),
    (b"qoif", "qoi"),
    (b"icns", "icns"),
    (b"P7\n", "pam"),
    (b"PF\n", "pfm"),
    (b"Pf\n", "pfm"),
    (b"#?RADIANCE", "hdr"),
    (b"#?RGBE", "hdr"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"DDS ", "dds"),
)
_PARSERS: dict[str, Callable[[bytes | bytearray], Header]] = {
    "jpg": read_jpeg,
    "png": read_png,
    "webp": read_webp,
    "gif": read_gif,
    "bmp": read_bmp,
    "tiff": read_tiff,
    "jp2": read_jpeg_2000,
    "ico": read_icon,
    "avif": read_avif,
    "ppm": read_pnm,
    "tga": partial(read_paint, extension="tga"),
    "pcx": partial(read_paint, extension="pcx"),
    "sgi": partial(read_paint, extension="sgi"),
}


def image_format(body: bytes | bytearray) -> str | None:
    """The format by its usual ending (jpg, png, webp, …), or None for what is no image."""
    start = bytes(body[:12])
    if start.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return "webp"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    if start.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "jp2"
    if start[4:8] == b"ftyp":
        return _brand(body)
    if start.startswith(b"BM") and len(body) >= 26:
        return "bmp"
    if start.startswith(b"\0\0\1\0") and start[4:6] != b"\0\0":
        return "ico"
    if start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace():
        return "ppm"
    if start[:2] == b"\x01\xda" and start[2:3] in b"\0\1" and start[3:4] in b"\1\2":
        return "sgi"
    for signature, extension in _UNSUPPORTED:
        if start.startswith(signature):
            return extension
    if start[:1] == b"\x0a" and start[1:2] in b"\0\2\3\4\5" and start[2:3] == b"\1" and body[64:65] == b"\0":
        return "pcx"
    if _is_targa(body):
        return "tga"
    if (
        start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<svg", b"<!--"))
        and b"<svg" in body[:4096]
    ):
        return "svg"
    return None


def _is_targa(body: bytes | bytearray) -> bool:
    """By its last bytes; files of the first version have no mark at all, but fields of few values."""
    if body.endswith(b"TRUEVISION-XFILE.\0"):
        return True
    if len(body) < 18 or body[1] > 1 or body[2] not in (1, 2, 3, 9, 10, 11):
        return False
    has_map = body[2] in (1, 9)
    has_size = body[12:14] != b"\0\0" and body[14:16] != b"\0\0"
    map_is_right = body[1] == has_map and (has_map or not any(body[3:8]))
    return map_is_right and has_size and body[16] in (8, 15, 16, 24, 32) and not body[17] & 0xC0


def _brand(body: bytes | bytearray) -> str | None:
    brands = [bytes(body[8:12])]
    brands += [bytes(body[at : at + 4]) for at in range(16, min(int.from_bytes(body[:4], "big"), 256), 4)]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "avif"
    return "heic" if brands[0] in _HEIF_BRANDS else None


def read_header(body: bytes | bytearray) -> Header:
    """Size, orientation, where the EXIF lies and what a decoder must know, without decoding anything.

    Raises:
        ImageFailure: no image, of a format that cannot be decoded, or cut or damaged in its header.
    """
    extension = image_format(body)
    if extension is None:
        raise ImageFailure(NOT_AN_IMAGE)
    parser = _PARSERS.get(extension)
    if parser is None:
        raise ImageFailure(of_format(extension))
    try:
        header = parser(body)
    except (EndsEarly, struct.error, IndexError):
        raise ImageFailure(TRUNCATED) from None
    except Malformed:
        raise ImageFailure(CORRUPT) from None
    if header.width <= 0 or header.height <= 0:
        raise ImageFailure(CORRUPT)
    return header

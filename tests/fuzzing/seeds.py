"""Real files and real words for the fuzzers to begin with, made when they are needed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image

from tests.imaging.consent import builders
from tests.imaging.odd_files import png_chunk

_WIDTH, _HEIGHT = 30, 20
_ROWS = np.mgrid[0:_HEIGHT, 0:_WIDTH]
RGB: np.ndarray[Any, Any] = np.dstack(
    [_ROWS[0] * 9 % 256, _ROWS[1] * 7 % 256, (_ROWS[0] * _ROWS[1]) % 256]
).astype(np.uint8)


def pictures() -> Iterator[bytes]:
    """Small files of every format that is decoded, with and without what makes them odd."""
    image = Image.fromarray(RGB)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9286] = 6, "camera", b"ASCII\0\0\0words"
    transparent = Image.fromarray(np.dstack([RGB, 255 - RGB[:, :, :1]]))
    profile = b"any bytes" * 20
    for kind, picture, options in (
        ("JPEG", image, {"exif": exif, "quality": 80}),
        ("JPEG", image, {"progressive": True, "icc_profile": profile}),
        ("JPEG", image.convert("L"), {"restart_marker_rows": 1}),
        ("JPEG", image.convert("CMYK"), {}),
        ("PNG", image, {"exif": exif, "icc_profile": profile}),
        ("PNG", transparent, {}),
        ("PNG", image.convert("P"), {"transparency": 3}),
        ("PNG", image.convert("I;16"), {}),
        ("PNG", image.convert("1"), {}),
        ("WEBP", image, {"exif": exif, "icc_profile": profile}),
        ("WEBP", transparent, {"lossless": True}),
        ("WEBP", image, {"save_all": True, "append_images": [transparent.convert("RGB")]}),
        ("GIF", image, {}),
        ("GIF", image, {"save_all": True, "append_images": [transparent.convert("RGB")], "transparency": 2}),
        ("BMP", image, {}),
        ("BMP", image.convert("P"), {}),
        ("TIFF", image, {"tiffinfo": {0x0112: 6}}),
        ("TIFF", image, {"compression": "tiff_lzw"}),
        ("TIFF", transparent, {"compression": "tiff_adobe_deflate"}),
        ("TIFF", image, {"compression": "jpeg"}),
        ("TIFF", image, {"big_tiff": True}),
        ("JPEG2000", image, {}),
        ("JPEG2000", transparent, {"no_jp2": True}),
        ("AVIF", image, {"exif": exif}),
        ("PPM", image, {}),
        ("PPM", image.convert("1"), {}),
        ("ICO", transparent, {"sizes": [(16, 16), (20, 20)]}),
        ("ICO", image, {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
    ):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        yield file.getvalue()
    yield cv2.imencode(".png", np.dstack([RGB, RGB[:, :, 0]]).astype(np.uint16) * 257)[1].tobytes()
    yield b"II*\0" + struct.pack("<IHHHIII", 8, 1, 256, 3, 1, 5, 0)


def consent() -> Iterator[bytes]:
    """Files that say something of training, in each place of each format where that can stand."""
    xmp, c2pa = builders.saying("DMI-PROHIBITED"), builders.training("notAllowed")
    listed = builders.packet(elements="<plus:DataMining><a>DMI-ALLOWED</a></plus:DataMining>")
    yield builders.jpeg(builders.xmp_segment(xmp), *builders.box_segments(c2pa, 60))
    digest = b"A" * 32
    named = builders.packet(f'n:HasExtendedXMP="{digest.decode()}"')
    pieces = (
        builders.extended_segment(listed[at : at + 200], digest, at, 1) for at in range(0, len(listed), 200)
    )
    yield builders.jpeg(builders.xmp_segment(named), *pieces)
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)
    yield builders.png(png_chunk(b"iTXt", text), png_chunk(b"caBX", c2pa))
    yield builders.png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.decode().encode("utf-16")))
    yield builders.webp((b"XMP ", listed), (b"C2PA", c2pa))
    yield builders.heif(xmp, is_in_idat=True) + builders.c2pa_box(c2pa)
    yield builders.heif(listed, version=2, long_numbers=True)
    json_box = builders.box(b"json", b'{"entries": {"c2pa.ai_training": {"use": "constrained"}}}')
    yield builders.webp((b"C2PA", builders.store(builders.superbox("c2pa.training-mining", json_box))))


def exif_blocks() -> Iterator[bytes]:
    """Blocks as cameras write them, in both byte orders, with directories that lead to others."""
    for order in "<>":
        exif = Image.Exif()
        exif.endian = order
        exif[0x010F], exif[0x0112], exif[0x011A] = "camera", 8, 72.0
        exif.get_ifd(0x8769).update({0x9286: b"UNICODE\0w\0o\0", 0x829A: 0.008, 0xA005: {1: "R98"}})
        exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.5)})
        yield exif.tobytes().removeprefix(b"Exif\0\0")
    yield b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0"


ROBOTS_FILES = (
    b"User-agent: *\nDisallow: /a/*.jpg$\nAllow: /a/b\nCrawl-delay: 2\n",
    b"\xef\xbb\xbfUser-agent: mybot/2.0\nSitemap: http://a.example/s\nUser-agent: other\nDisallow: /\n",
    b"user-agent mybot\r\nDisalow: /%7Ea\rRequest-rate: 1/5s # slow\nDisallow: *?x=1\n",
    b"User-agent: *\nDisallow: /\n\nUser-agent: mybot (images)\nDisallow:\nAllow: /\xc3\xa4\xff\n",
)
ROBOTS_TAGS = (
    b"noai, noimageai",
    b"mybot: noindex, otherbot: nofollow",
    b"unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex\nmax-image-preview: none",
    b"*: all\nNoAI",
)
DELAYS = (
    b"120",
    b"Wed, 21 Oct 2026 07:28:00 GMT",
    b"Wednesday, 21-Oct-26 07:28:00 GMT",
    b"Wed Oct 21 07:28:00 2026",
    b"Wed, 21 Oct 2026 07:28:00 -0730",
)
URLS = (
    b"https://example.com:8443/a/b.jpg?w=1&h=2#part",
    "http://user:p%40ss@b\u00fccher.example/\u00e9t\u00e9.jpg?q=\u65e5".encode(),
    b"HTTP://[2001:db8::1]:80/a b.jpg",
    b"http://0x7f.1/../a%zz.jpg",
    b"//example.com/../b.jpg",
    b"data:image/png;base64,iVBORw0KGgo=",
    b"data:,a%20b",
    b"http://example.com/\xff",
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\nX-Robots-Tag: noai\r\n\r\n",
    b"HTTP/2 302 \r\nlocation: /b.jpg\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\n",
    b"HTTP/1.0 200\nTDM-Reservation: 1\nX-Robots-Tag: mybot: noindex\n\n",
)
TXT_LISTS = (
    b'http://a.example/1.jpg\nhttp://a.example/2.jpg\r\n\r\n  \nhttp://a.example/3,"x".jpg',
    "\ufeffhttp://a.example/\u00e9.jpg\rhttp://a.example/\u2028.jpg".encode(),
)
CSV_LISTS = (
    b'url,caption\nhttp://a.example/1.jpg,"one, ""two"""\nhttp://a.example/2.jpg,\n,none\n',
    b'caption,url\r\n"lines\r\nin it",http://a.example/1.jpg\r\n"",http://a.example/2.jpg\r\n',
)
JSONL_LISTS = (
    b'{"url": "http://a.example/1.jpg", "caption": "one"}\n{"url": null}\n{"caption": 1, "url": "x"}\n',
    b'{"url": "\\u00e9\\ud83d\\ude00"}\n\n{"url": 12}',
)

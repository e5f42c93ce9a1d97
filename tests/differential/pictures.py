"""What the loopback server serves: photographs and odd files that both programs must treat alike.

Comes in: nothing. Goes out: named files. Called by ``lists.py``. Left out are the files 1.47.0 is known to
spoil and this project does not: 16-bit, transparency other than none, cut files, CMYK (see ``README.md``).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from tests.pictures import photograph, photograph_pixels

# Around the default size and its halves and doubles, odd and even, thin, tiny, and of web size.
SIZES = (
    *((1, 1), (2, 3), (7, 5), (64, 64), (100, 31), (127, 255), (128, 129), (255, 256), (256, 256)),
    *((256, 255), (257, 257), (300, 256), (256, 391), (333, 500), (511, 513), (512, 512), (640, 427)),
    *((720, 719), (1000, 40), (41, 1001), (1024, 768), (1500, 1001)),
)
MODES = ("L", "1", "P", "LA", "RGBA")


@dataclass(frozen=True)
class Served:
    """One file on the server: its ending, its bytes, and headers beside the usual ones."""

    name: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200


def photographs() -> list[Served]:
    """JPEGs of many sizes: baseline and progressive, subsampled or not, of high and low quality."""
    served = []
    for n, (width, height) in enumerate(SIZES):
        options: dict[str, Any] = {"quality": (92, 75, 40)[n % 3], "subsampling": n % 3}
        if n % 3 == 1:
            options["progressive"] = True
        served.append(Served(f"{width}x{height}.jpg", photograph(width, height, n, **options)))
    return served


def other_files() -> list[Served]:
    """Other formats and kinds of pixels, 8 bits deep, nothing in them transparent."""
    served = [Served("grey.jpg", _encoded(_picture(301, 200, 50).convert("L"), "JPEG"))]
    for n, mode in enumerate(MODES):
        image = _picture(220 + 31 * n, 340 - 17 * n, 60 + n)
        image = image.quantize(64) if mode == "P" else image.convert(mode)
        served.append(Served(f"{mode}.png", _encoded(image, "PNG")))
    served += [
        Served("plain.png", _encoded(_picture(399, 281, 70), "PNG")),
        Served("lossy.webp", _encoded(_picture(400, 281, 71), "WEBP", quality=80)),
        Served("lossless.webp", _encoded(_picture(200, 281, 72), "WEBP", lossless=True)),
        Served("plain.bmp", _encoded(_picture(300, 127, 73), "BMP")),
        Served("plain.tiff", _encoded(_picture(270, 260, 74), "TIFF")),
        Served("jpeg-as.png", photograph(310, 290, 75)),
    ]
    return served


def with_exif() -> list[Served]:
    """JPEGs with EXIF: plain, many tags, orientation (which the option then ignores), and none."""
    rich = Image.Exif()
    rich[0x010F], rich[0x0110], rich[0x0132] = "Maker", "Model \u00e9 7", "2020:01:02 03:04:05"
    rich[0x011A], rich[0x0213] = 72.5, 1
    details = rich.get_ifd(0x8769)
    details[0x829A], details[0x8827], details[0x9000] = (1, 250), 200, b"0230"
    details[0x9286] = b"ASCII\0\0\0a comment"
    place = rich.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", (48.0, 51.0, 29.5), "E", (2.0, 17.0, 40.0)
    served = [
        Served("rich.jpg", photograph(320, 240, 80, exif=rich.tobytes())),
        Served("none.jpg", _jpeg(81)),
    ]
    for orientation in (1, 3, 6, 8):
        turned = Image.Exif()
        turned[0x0112] = orientation
        served.append(Served(f"turned-{orientation}.jpg", photograph(300, 200, 82, exif=turned.tobytes())))
    return served


def opted_out() -> list[Served]:
    """Photographs with X-Robots-Tag headers of every spelling, and without."""
    spellings = (
        *((), ("noai",), ("NoAI",), ("noindex",), ("noimageindex",), ("all",), ("nofollow",)),
        *(("nofollow, noimageai",), ("all", "noai"), ("somebody: noai",), ("mydataset: noai",)),
        *(("mydataset: all",), ("somebody: noai", "all"), ("mydataset: nofollow, noindex",), ("",)),
    )
    return [
        Served(f"robots-{n}.jpg", _jpeg(90), tuple(("X-Robots-Tag", value) for value in values))
        for n, values in enumerate(spellings)
    ]


def failures() -> list[Served]:
    """Answers that are no image."""
    return [
        Served("page.jpg", b"<!doctype html><title>gone</title>"),
        Served("noise.jpg", bytes(range(256)) * 8),
        Served("forbidden.jpg", b"no", status=403),
        Served("missing.jpg", b"no", status=404),
        Served("broken.jpg", b"no", status=500),
    ]


def _picture(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(photograph_pixels(width, height, seed))


def _jpeg(seed: int) -> bytes:
    return photograph(280, 210, seed)


def _encoded(image: Image.Image, image_format: str, **save_options: Any) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, format=image_format, **save_options)
    return encoded.getvalue()

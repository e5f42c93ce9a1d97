"""Whatever the way in, an image has the same pixels: pictures, callables, buckets, sizes by a dictionary."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2dataset.training import Buckets, ImageLoadError, ImageTextDataset, load_image
from tests.pictures import photograph

WIDTH, HEIGHT = 64, 48
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    "</rdf:RDF></x:xmpmeta>"
)


def picture(mode: str = "RGB") -> Image.Image:
    with Image.open(io.BytesIO(photograph(WIDTH, HEIGHT, 3))) as image:
        return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture(), kind, exif=exif)


def with_transparency() -> Image.Image:
    image = picture("RGBA")
    image.putalpha(Image.fromarray((np.indices((HEIGHT, WIDTH))[1] * 4 % 256).astype(np.uint8)))
    return image


def colour_key_png() -> bytes:
    """Of which one colour is transparent."""
    body = saved(picture().quantize(8).convert("RGB"), "PNG")
    key = np.asarray(Image.open(io.BytesIO(body)))[5, 5]
    chunk = b"tRNS" + struct.pack(">HHH", *map(int, key))
    place = body.index(b"IDAT") - 4
    return body[:place] + struct.pack(">I", 6) + chunk + struct.pack(">I", zlib.crc32(chunk)) + body[place:]


def small_frame_gif() -> bytes:
    """Whose first frame covers a part of its canvas."""
    body = bytearray(saved(picture().crop((0, 0, 20, 16)).quantize(16), "GIF"))
    body[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    place = body.index(b"\x2c", 13 + 3 * 2 ** ((body[10] & 7) + 1))
    body[place + 1 : place + 5] = struct.pack("<HH", 7, 9)
    return bytes(body)


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(picture(), "JPEG"),
    "grey jpeg": lambda: saved(picture("L"), "JPEG"),
    "cmyk jpeg": lambda: saved(picture("CMYK"), "JPEG"),
    "turned jpeg": lambda: turned("JPEG", 6),
    "jpeg turned by xmp": lambda: saved(picture(), "JPEG", xmp=XMP.encode()),
    "png": lambda: saved(picture(), "PNG"),
    "palette png": lambda: saved(picture().quantize(32), "PNG"),
    "deep grey png": lambda: saved(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 254), "PNG"),
    "transparent png": lambda: saved(with_transparency(), "PNG"),
    "grey and transparent png": lambda: saved(with_transparency().convert("LA"), "PNG"),
    "colour-key png": colour_key_png,
    "webp": lambda: saved(picture(), "WEBP", lossless=True),
    "transparent webp": lambda: saved(with_transparency(), "WEBP", lossless=True),
    "gif": lambda: saved(picture().quantize(32), "GIF"),
    "gif with a small frame": small_frame_gif,
    "tiff": lambda: saved(picture(), "TIFF"),
    "turned tiff": lambda: turned("TIFF", 6),
    "tiff on its head": lambda: turned("TIFF", 3),
    "mirrored tiff": lambda: turned("TIFF", 2),
    "bmp": lambda: saved(picture(), "BMP"),
    "ppm": lambda: saved(picture(), "PPM"),
}


def identity(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image)


@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_give_the_same_pixels(kind: str) -> None:
    body = KINDS[kind]()
    expected = np.asarray(load_image(body))
    size = (expected.shape[1], expected.shape[0])
    # As in browsers, EXIF turns an image, and XMP does not.
    assert size == ((HEIGHT, WIDTH) if kind in ("turned jpeg", "turned tiff") else (WIDTH, HEIGHT))
    rows = [{"image": body}]
    by_size = {"resize": [size[1], size[0]], "output": "array"}
    ways = {
        "dictionary": ImageTextDataset(rows, img_transform=by_size)[0]["img"],
        "no size": ImageTextDataset(rows, img_transform={"output": "array"})[0]["img"],
        "callable": ImageTextDataset(rows, img_transform=identity)[0]["img"],
        "none": np.asarray(ImageTextDataset(rows)[0]["img"]),
        "buckets": np.asarray(ImageTextDataset(rows, buckets=Buckets([size]))[0]["img"]),
    }
    for way, pixels in ways.items():
        assert np.array_equal(pixels, expected), way
    transparent = load_image(body, mode="RGBA")
    assert transparent.size == size
    paper = Image.new("RGBA", size, (255, 255, 255, 255))
    paper.alpha_composite(transparent)
    assert np.abs(np.asarray(paper.convert("RGB")).astype(int) - expected).max() <= 1
    assert (
        np.abs(
            np.asarray(load_image(body, mode="L")).astype(int)
            - np.asarray(Image.fromarray(expected).convert("L"))
        ).max()
        <= 1
    )
    assert load_image(body, mode=None).size == size
    if kind == "gif with a small frame":  # Pillow fills the rest of the canvas, and does not say so
        return
    # A picture that others opened, as datasets in memory and of Hugging Face have them.
    opened = ImageTextDataset([{"image": Image.open(io.BytesIO(body))}], buckets=Buckets([size]))
    assert opened.bucket_ids().tolist() == [0]
    for pixels in (load_image(Image.open(io.BytesIO(body))), opened[0]["img"]):
        assert np.abs(np.asarray(pixels).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("transform", [None, identity, {"resize": 32}])
def test_floats_without_a_range_are_refused_by_all(transform: Any) -> None:
    body = saved(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF")
    with pytest.raises(ImageLoadError, match="decode: unsupported"):
        ImageTextDataset([{"image": body}], img_transform=transform)[0]
    for mode in ("RGB", "RGBA", "L"):
        with pytest.raises(ImageLoadError, match="decode: unsupported"):
            load_image(body, mode=mode)


def test_a_cut_picture_that_others_opened_is_a_failure_of_its_row() -> None:
    body = saved(picture(), "PNG")[:-400]
    with pytest.raises(ImageLoadError, match="decode: "):
        load_image(Image.open(io.BytesIO(body)))

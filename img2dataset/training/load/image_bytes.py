"""Bytes of an image file in, an upright picture out, within limits. Called by the loader and the readers.

The imaging room says what is an image and decodes it, as for ``image_pixels``, which gives pixels of a wanted
size with less work. With Pillow it is decoded only where transparency, or the file's own mode, is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.imaging import ImageFailure

Size = tuple[int, int]  # width, height, in pixels

MODES = ("RGB", "RGBA", "L")


class DecodeFailed(ValueError):
    """An image cannot be decoded: ``failure`` says why, ``note`` more of this one."""

    def __init__(self, failure: Failure, note: str = ""):
        super().__init__(f"{failure} ({note})" if note else str(failure))
        self.failure = failure
        self.note = note


@contextmanager
def image_errors() -> Iterator[None]:
    """Errors of the imaging room as ``DecodeFailed``."""
    try:
        yield
    except ImageFailure as error:
        note = f"{error.width}x{error.height}" if error.width is not None else ""
        raise DecodeFailed(error.failure, note) from error
    except MemoryError:
        raise DecodeFailed(failures.OUT_OF_MEMORY) from None


def decode_image(
    body: bytes | bytearray | memoryview,
    mode: str | None = "RGB",
    max_pixels: int = 200_000_000,
) -> Any:
    """Decode an image, turn it upright as its EXIF says, and convert it.

    Args:
        body: the bytes of a file.
        mode: "RGB" (transparent pixels are laid on white), "RGBA", "L", or None: as it is.
        max_pixels: refused from the header, before decoding.

    Returns:
        A ``PIL.Image.Image``, loaded.

    Raises:
        DecodeFailed: it is no image, cut short, damaged or too large.
    """
    from PIL import Image

    from img2dataset.imaging.at_size import decode_as_it_is, decode_at_size

    body = _in_bytes(body)
    with image_errors():
        if mode in (None, "RGBA"):
            picture = decode_as_it_is(body, max_pixels, if_transparent=mode is not None)
            if picture is not None:
                return converted(picture, mode)
        return converted(Image.fromarray(decode_at_size(body, lambda size: size, max_pixels)), mode)


def image_size(body: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Width and height, in pixels, of the upright image, from its header alone.

    Raises:
        DecodeFailed: it is no image.
    """
    from img2dataset.imaging.at_size import size_of

    with image_errors():
        return size_of(_in_bytes(body))


def picture_of_others(image: Any, mode: str | None) -> Any:
    """A ``PIL.Image.Image`` that was opened elsewhere, as ``decode_image`` gives that of its file.

    Raises:
        DecodeFailed: its file is cut short or damaged.
    """
    from img2dataset.imaging.pillow import upright_of_others

    with image_errors():
        return converted(upright_of_others(image), mode)


def _in_bytes(body: bytes | bytearray | memoryview) -> bytes | bytearray:
    return bytes(body) if isinstance(body, memoryview) else body


def converted(image: Any, mode: str | None) -> Any:
    """The picture in ``mode``; going to RGB or L, transparent pixels are laid on white."""
    from PIL import Image

    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if mode is None or (image.mode == mode and (mode == "RGBA" or not transparent)):
        return image
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        image = _to_eight(image)
        transparent = False
    if transparent and mode != "RGBA":
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, image)
    return image if image.mode == mode else image.convert(mode)


def _to_eight(image: Any) -> Any:
    """Sixteen bits as eight: Pillow's own conversion clips everything above 255 to white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))

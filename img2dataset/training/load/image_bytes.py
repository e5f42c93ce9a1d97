"""Bytes of an image file in, an upright picture out, within limits. Called by the loader and the readers.

Pillow decodes here, and says when an image is cut short. Where only pixels of a known size are wanted,
``image_pixels`` does with less work.
"""

from __future__ import annotations

import io
from typing import Any

from img2dataset import failures
from img2dataset.failures import Failure

Size = tuple[int, int]  # width, height, in pixels

# Formats that decoders in memory handle; left out are those that run programs (EPS) or follow file names.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM", "TGA")
MODES = ("RGB", "RGBA", "L")
ORIENTATION_TAG = 0x0112


class DecodeFailed(ValueError):
    """An image cannot be decoded: ``failure`` says why, ``note`` more of this one."""

    def __init__(self, failure: Failure, note: str = ""):
        super().__init__(f"{failure} ({note})" if note else str(failure))
        self.failure = failure
        self.note = note


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
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(body), formats=_formats())
        width, height = image.size
        if width * height > max_pixels:
            raise DecodeFailed(failures.TOO_MANY_PIXELS, f"{width}x{height}")
        orientation = _orientation(image)
        image.load()
    except DecodeFailed:
        raise
    except UnidentifiedImageError:
        raise DecodeFailed(failures.NOT_AN_IMAGE) from None
    except Image.DecompressionBombError:
        raise DecodeFailed(failures.TOO_MANY_PIXELS) from None
    except MemoryError:
        raise DecodeFailed(failures.OUT_OF_MEMORY) from None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        text = str(error).lower()
        raise DecodeFailed(failures.TRUNCATED if "truncated" in text else failures.CORRUPT) from error
    return converted(_upright(image, orientation), mode)


def image_size(body: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Width and height, in pixels, of the upright image, from its header alone (0.02 ms).

    Raises:
        DecodeFailed: it is no image.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(body), formats=_formats())
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)
    except Exception:
        raise DecodeFailed(failures.NOT_AN_IMAGE) from None


def converted(image: Any, mode: str | None) -> Any:
    """The picture in ``mode``; going to RGB or L, transparent pixels are laid on white."""
    from PIL import Image

    if mode is None or image.mode == mode:
        return image
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        # Sixteen bits to eight: Pillow's own conversion clips everything above 255 to white.
        image = (
            image.point(lambda value: value * (1 / 257)).convert("L")
            if image.mode == "I"
            else _to_eight(image)
        )
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if transparent and mode != "RGBA":
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, image)
    return image if image.mode == mode else image.convert(mode)


def _to_eight(image: Any) -> Any:
    import numpy as np
    from PIL import Image

    return Image.fromarray((np.asarray(image).astype(np.uint16) // 257).astype(np.uint8))


def _orientation(image: Any) -> int:
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1
    except Exception:  # damaged EXIF is no reason to lose the picture
        return 1


def _upright(image: Any, orientation: int) -> Any:
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    if turn is None:
        return image
    image = image.transpose(turn)
    for name in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        image.info.pop(name, None)  # nobody is to turn it a second time
    return image


_known_formats: list[str] = []


def _formats() -> list[str]:
    if not _known_formats:
        from PIL import Image

        Image.init()
        _known_formats.extend(name for name in FORMATS if name in Image.OPEN)
    return _known_formats

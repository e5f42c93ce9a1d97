"""Pillow, fenced in: only formats of a list, and its exceptions in this room's language.

Comes in: the bytes of a file. Goes out: an opened image, or pixels. Called for what OpenCV cannot decode
or decodes wrongly: GIF, AVIF, ICO, TGA, PCX, SGI, YCbCr in TIFF, CMYK without Adobe's mark, colour profiles.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from img2dataset.failures import CORRUPT, TOO_MANY_PIXELS, TRUNCATED, UNSUPPORTED
from img2dataset.imaging.decoder_messages import captured_messages
from img2dataset.imaging.failure import ImageFailure

# Pillow also opens formats that run programs (EPS) or follow names (none of them here).
_FORMATS = {
    "jpg": ("JPEG", "MPO"),
    "png": ("PNG",),
    "webp": ("WEBP",),
    "gif": ("GIF",),
    "tiff": ("TIFF",),
    "jp2": ("JPEG2000",),
    "avif": ("AVIF",),
    "ico": ("ICO",),
    "tga": ("TGA",),
    "pcx": ("PCX",),
    "sgi": ("SGI",),
    "bmp": ("BMP",),
    "ppm": ("PPM",),
}

ORIENTATION_TAG = 0x0112
# EXIF orientation → what makes it upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_with_pillow(body: bytes | bytearray, extension: str) -> Image.Image:
    """Read the header, nothing more.

    Raises:
        ImageFailure: this format, or this file, is not for Pillow.
    """
    with _pillow_errors(extension):
        return Image.open(io.BytesIO(body), formats=_FORMATS[extension])


def loaded(image: Image.Image) -> Image.Image:
    """An opened image with all of its pixels.

    Raises:
        ImageFailure: the data ends early or is damaged.
    """
    with _pillow_errors(image.format):
        with captured_messages() as messages:
            image.load()
        if messages and image.format == "TIFF":
            raise ImageFailure(CORRUPT)  # its libtiff goes on after some errors
        return image


def upright_picture(image: Image.Image, orientation: int) -> Image.Image:
    """The image as it is meant to be seen, without what says how it was turned."""
    turn = _TURNS.get(orientation)
    if turn is None:
        return image
    image = image.transpose(turn)
    for name in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        image.info.pop(name, None)  # nobody is to turn it a second time
    return image


def upright_of_others(image: Image.Image) -> Image.Image:
    """A picture that was opened elsewhere, with all of its pixels, as it is meant to be seen.

    As from its file, EXIF turns it, and XMP does not.

    Raises:
        ImageFailure: the data ends early or is damaged.
    """
    image = loaded(image)
    if image.format == "TIFF":  # Pillow has turned it, and keeps what there is left to turn
        return upright_picture(image, image.getexif().get(ORIENTATION_TAG, 1))
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # of any kind, where the EXIF is damaged
        exif.load(image.info.get("exif", b""))
    return upright_picture(image, exif.get(ORIENTATION_TAG, 1))


def decode_with_pillow(
    image: Image.Image, *, invert_inks: bool = False, to_srgb: bool = False
) -> np.ndarray[Any, Any]:
    """The pixels of an opened image as OpenCV would hand them out: grey, BGR or BGRA, of 8 or 16 bits.

    Args:
        invert_inks: the file is CMYK with full ink as 255, which Pillow took the other way round.
        to_srgb: convert by the image's colour profile.

    Raises:
        ImageFailure: the data ends early, is damaged, or is of a kind without a range (floats).
    """
    loaded(image)
    with _pillow_errors(image.format):
        mode = image.mode
        if mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        if mode in ("I", "F"):
            raise ImageFailure(UNSUPPORTED)
        if invert_inks:
            image = Image.merge(mode, [band.point(lambda ink: 255 - ink) for band in image.split()])
        if to_srgb:
            from img2dataset.imaging.profile import in_srgb

            image = in_srgb(image)
        return _as_opencv_has_it(image)


def _as_opencv_has_it(image: Image.Image) -> np.ndarray[Any, Any]:
    transparent = "transparency" in image.info
    if image.mode in ("1", "L") and not transparent:
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or transparent:
        return np.asarray(image.convert("RGBA"))[:, :, [2, 1, 0, 3]]
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


@contextmanager
def _pillow_errors(extension: str | None) -> Iterator[None]:
    try:
        yield
    except (ImageFailure, MemoryError):
        raise
    except UnidentifiedImageError:
        # Pillow reads AVIF since 11.3, and only where it was built with libavif.
        absent = extension == "avif" and not features.check("avif")
        raise ImageFailure(UNSUPPORTED if absent else CORRUPT) from None
    except Image.DecompressionBombError:
        raise ImageFailure(TOO_MANY_PIXELS) from None
    except Exception as error:
        # Pillow's decoders of hostile files raise nearly anything: OSError, ValueError, struct.error,
        # SyntaxError, IndexError, EOFError …
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise ImageFailure(TRUNCATED if cut else CORRUPT) from None

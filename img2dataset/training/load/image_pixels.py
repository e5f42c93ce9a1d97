"""Bytes of an image file in, RGB pixels at the wanted size out, with no more work than that size shows.

For datasets whose ``ImageTransform`` says the size; callables of a user's get a picture (``image_bytes``).
The imaging room works here, with a download's shortcuts: large JPEGs decoded at a reduced size, progressive
ones without the scans that a small picture does not show, and no Pillow picture in between (0.4 ms of 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from img2dataset.failures import OUT_OF_MEMORY, TOO_MANY_PIXELS
from img2dataset.imaging import ImageFailure
from img2dataset.training.load.image_bytes import DecodeFailed, Size

ScaledSize = Callable[[Size], Size]


def decode_scaled(body: bytes | bytearray, scaled_size: ScaledSize, max_pixels: int = 200_000_000) -> Any:
    """Decode an image, scale it, and turn it upright as its EXIF says.

    Args:
        body: the bytes of a file.
        scaled_size: says, given (width, height) in pixels of the upright image, what it is scaled to.
        max_pixels: refused from the header, before decoding.

    Returns:
        An array of shape (height, width, 3), uint8, RGB, transparent pixels laid on white.

    Raises:
        DecodeFailed: it is no image, cut short, damaged or too large.
    """
    try:
        return _decoded(body, scaled_size, max_pixels)
    except ImageFailure as failure:
        raise DecodeFailed(failure.failure) from failure
    except MemoryError:
        raise DecodeFailed(OUT_OF_MEMORY) from None


def _decoded(body: bytes | bytearray, scaled_size: ScaledSize, max_pixels: int) -> Any:
    from img2dataset.imaging.decode import decode
    from img2dataset.imaging.header import read_header
    from img2dataset.imaging.orientation import upright, upright_size
    from img2dataset.imaging.reduction import jpeg_shortcuts, usual_reduction
    from img2dataset.imaging.shrinking import shrink_jpeg

    header = read_header(body)
    turn = header.orientation
    size = header.width, header.height
    if size[0] * size[1] > max_pixels:
        raise DecodeFailed(TOO_MANY_PIXELS, f"{size[0]}x{size[1]}")
    scaled = upright_size(scaled_size(upright_size(size, turn)), turn)
    plain = header.extension == "jpg" and header.bits == 8 and header.complete and not header.four_inks
    shrinks = plain and scaled[0] <= size[0] and scaled[1] <= size[1]
    pixels = shrink_jpeg(body, header, scaled, jpeg_shortcuts(size, scaled)) if shrinks else None
    if pixels is None:
        reduction = usual_reduction(size, scaled) if shrinks else 0
        pixels = decode(body, header, convert_to_srgb=False, reduction=reduction).pixels
        if not shrinks:  # what the header says of other formats is less reliable
            size = pixels.shape[1], pixels.shape[0]
            scaled = upright_size(scaled_size(upright_size(size, turn)), turn)
    # Scaled before it is turned and its colours are put in order: both then cost what the small image costs.
    return rgb_array(upright(resized(pixels, scaled), turn))


def resized(pixels: Any, size: Size) -> Any:
    """Pixels of shape (height, width) or (height, width, 3), uint8, at another size: reduced as a download
    reduces, or enlarged.
    """
    import cv2

    from img2dataset.imaging.resize import reduce_in_steps, scale

    horizontal, vertical = pixels.shape[1] / size[0], pixels.shape[0] / size[1]
    if min(horizontal, vertical) < 1:
        return scale(pixels, size, cv2.INTER_LANCZOS4)
    if max(horizontal, vertical) >= 2 * min(horizontal, vertical):
        return scale(pixels, size, cv2.INTER_AREA)  # halvings would begin by enlarging one of the sides
    return reduce_in_steps(pixels, size)


def rgb_array(pixels: Any) -> Any:
    """OpenCV's pixels, BGR or grey, as RGB of their own."""
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)

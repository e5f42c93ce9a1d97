"""Bytes of an image file in, RGB pixels at the wanted size out, with no more work than that size shows.

For datasets whose ``ImageTransform`` says the size; callables of a user's get a picture (``image_bytes``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from img2dataset.training.load.image_bytes import Size, image_errors

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
    from img2dataset.imaging.at_size import decode_at_size

    with image_errors():
        return decode_at_size(body, scaled_size, max_pixels)

"""Pictures that carry their row's number, so that a wrong image in a dataset is seen.

``draw`` makes one, ``read_number`` gets the number back from the pixels of what a run stored of it. Six by
six blocks carry 36 bits: 20 of the number, 16 of its checksum, so that neither a shifted nor a damaged nor
another row's picture passes. A one is yellow and a zero is blue: swapped channels do not pass either.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from PIL import Image

GRID = 6
NUMBER_BITS = 20
LARGEST_NUMBER = (1 << NUMBER_BITS) - 1
ONE, ZERO = (230, 200, 60), (30, 60, 180)


class NotNumbered(Exception):
    """The picture carries no number whose checksum is right."""


def size_of(number: int) -> tuple[int, int]:
    """Width and height of a picture, in pixels: some above and some below the target size of a soak."""
    return 84 + 24 * (number % 5), 84 + 20 * (number // 5 % 4)


def _bits(number: int) -> np.ndarray[Any, Any]:
    word = number << 16 | zlib.crc32(number.to_bytes(4, "big")) & 0xFFFF
    return np.array([word >> place & 1 for place in range(GRID * GRID)], dtype=np.uint8).reshape(GRID, GRID)


def draw(number: int) -> bytes:
    """A JPEG that carries ``number``, at most ``LARGEST_NUMBER``; the same bytes for the same number."""
    width, height = size_of(number)
    blocks = np.where(_bits(number)[:, :, None] == 1, np.array(ONE), np.array(ZERO))
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    encoded = io.BytesIO()
    Image.fromarray(blocks[rows][:, columns].astype(np.uint8)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def read_number(pixels: np.ndarray[Any, Any], original_size: tuple[int, int]) -> int:
    """The number carried by a picture that was resized with ``border``.

    Args:
        pixels: shape (side, side, 3), uint8, RGB.
        original_size: width and height of the picture as it was drawn.

    Raises:
        NotNumbered: the checksum is not that of the number.
    """
    side = pixels.shape[0]
    width, height = (round(length * side / max(original_size)) for length in original_size)
    left, top = (side - width) // 2, (side - height) // 2
    word = 0
    for place in range(GRID * GRID):
        row, column = divmod(place, GRID)
        y, x = (top + (row + 0.5) * height / GRID), (left + (column + 0.5) * width / GRID)
        block = pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].astype(int).mean(axis=(0, 1))
        word |= int(block[0] > block[2]) << place
    number = word >> 16
    if zlib.crc32(number.to_bytes(4, "big")) & 0xFFFF != word & 0xFFFF:
        raise NotNumbered(f"no number in these pixels: {word:09x}")
    return number

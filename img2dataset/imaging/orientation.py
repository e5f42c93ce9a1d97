"""EXIF orientation applied: to sizes, to bounding boxes and to pixels. Called by the processor.

The eight values of tag 0x0112 (CIPA DC-008, 4.6.4) are mirrorings and quarter turns; values of five and
more swap the sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

# value: swap the axes first, then mirror left-right, then mirror top-bottom
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
_FLIP_CODES = {(True, False): 1, (False, True): 0, (True, True): -1}


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """A stored (width, height) as (width, height) of the upright image; also the way back."""
    return (size[1], size[0]) if orientation >= 5 else size


def upright_box(box: Sequence[float], orientation: int) -> tuple[float, float, float, float]:
    """A box [x_min, y_min, x_max, y_max] in 0-1 of the stored image, in 0-1 of the upright one."""
    swap, mirror_x, mirror_y = _STEPS[orientation]
    left, top, right, bottom = box
    if swap:
        left, top, right, bottom = top, left, bottom, right
    if mirror_x:
        left, right = 1 - right, 1 - left
    if mirror_y:
        top, bottom = 1 - bottom, 1 - top
    return left, top, right, bottom


def upright(pixels: np.ndarray[Any, Any], orientation: int) -> np.ndarray[Any, Any]:
    """The pixels as they are meant to be seen."""
    swap, mirror_x, mirror_y = _STEPS[orientation]
    if swap:
        pixels = cv2.transpose(pixels)
    if mirror_x or mirror_y:
        pixels = cv2.flip(pixels, _FLIP_CODES[mirror_x, mirror_y])
    return pixels

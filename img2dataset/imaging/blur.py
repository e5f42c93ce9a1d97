"""Regions of an image blurred beyond recognition: pixels and boxes in, pixels out. Called by the processor.

As the ImageNet face obfuscation does it (Yang et al., "A Study of Face Obfuscation in ImageNet", 2022):
boxes grown by a tenth of their longer side on each side, a Gaussian of a tenth of the largest box side
over the image and over the mask of the grown boxes, and the blurred image where the blurred mask is white.
``blur_boxes_as_before`` does it as img2dataset 1.47.0 did, bit for bit; with ``exact_resize``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from img2dataset.failures import INVALID_BBOX
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.failure import ImageFailure

Box = tuple[float, float, float, float]
Rectangle = tuple[int, int, int, int]

_GROWTH = 0.1
_SIGMA = 0.1
# Beyond three sigma a Gaussian has 0.3 % left: less than one of 255 levels of a mask's edge.
_REACH = 3.0
# A Gaussian wider than this is done on a picture made smaller first: the cost of a pixel stops growing.
_WIDEST_SIGMA = 8.0


def checked_boxes(boxes: Any) -> list[Box]:
    """The boxes of a row as a list; none for None.

    Raises:
        ImageFailure: anything but four finite numbers in 0-1 with min <= max.
    """
    if boxes is None:
        return []
    try:
        checked: list[Any] = [tuple(float(number) for number in box) for box in boxes]
    except (TypeError, ValueError, OverflowError):
        raise ImageFailure(INVALID_BBOX) from None
    for box in checked:
        # Comparisons with a NaN are false.
        if len(box) != 4 or not (0 <= box[0] <= box[2] <= 1 and 0 <= box[1] <= box[3] <= 1):
            raise ImageFailure(INVALID_BBOX)
    return checked


def blur_boxes(pixels: Pixels, boxes: Sequence[Box]) -> Pixels:
    """Blur the boxes, [x_min, y_min, x_max, y_max] in 0-1 of the image, in place where that can be.

    The cost is in proportion to the boxes and what they reach, not to the image: boxes whose reach
    overlaps are blurred together, others apart.
    """
    height, width = pixels.shape[:2]
    sides = [max((x1 - x0) * width, (y1 - y0) * height) for x0, y0, x1, y1 in boxes]
    sigma = _SIGMA * max(sides, default=0.0)
    if sigma <= 0:
        return pixels
    grown = [
        _grown(box, side * _GROWTH, width, height) for box, side in zip(boxes, sides, strict=True) if side > 0
    ]
    if not pixels.flags.writeable:
        pixels = pixels.copy()
    reach = math.ceil(_REACH * sigma)
    for hull, group in _groups(grown, reach):
        _blur_group(pixels, _around(hull, reach, width, height), group, sigma, reach)
    return pixels


def blur_boxes_as_before(pixels: Pixels, boxes: Sequence[Box]) -> Pixels:
    """The boxes blurred with the very pixels that img2dataset 1.47.0 made of 8-bit images.

    What its output shows: corners are cut to whole pixels before the boxes are grown, the last row and
    column are never in the mask, and the kernel reaches a tenth of the largest side while its sigma is the
    one that OpenCV finds for such a kernel, a third as wide. In 32-bit floats of 0-1, cut to 8 bits in the
    end. The cost is that of the whole image.
    """
    height, width = pixels.shape[:2]
    largest = 0
    # As many channels as the image: OpenCV's vector code rounds one and three channels differently.
    mask = np.zeros(pixels.shape, np.float32)
    for x0, y0, x1, y1 in boxes:
        left, top, right, bottom = int(x0 * width), int(y0 * height), int(x1 * width), int(y1 * height)
        side = max(right - left, bottom - top)
        largest = max(largest, side)
        growth = _GROWTH * side
        rows = slice(max(0, int(top - growth)), min(height - 1, int(bottom + growth)))
        columns = slice(max(0, int(left - growth)), min(width - 1, int(right + growth)))
        mask[rows, columns] = 1
    if not largest:
        return pixels
    reach = math.ceil(_SIGMA * largest)
    size = (2 * reach + 1, 2 * reach + 1)
    clear = pixels / np.float32(255)
    soft, share = cv2.GaussianBlur(clear, size, 0), cv2.GaussianBlur(mask, size, 0)
    mixed: Pixels = ((clear * (1 - share) + soft * share) * np.float32(255)).astype(np.uint8)
    return mixed


def _grown(box: Box, growth: float, width: int, height: int) -> Rectangle:
    left, top, right, bottom = box
    return (
        max(0, math.floor(left * width - growth)),
        max(0, math.floor(top * height - growth)),
        min(width, math.ceil(right * width + growth)),
        min(height, math.ceil(bottom * height + growth)),
    )


def _groups(rectangles: list[Rectangle], reach: int) -> list[tuple[Rectangle, list[Rectangle]]]:
    """(hull, rectangles) of each group that is too far from the others to read what they change.

    A group changes ``reach`` pixels around its hull and reads as many again.
    """
    groups: list[tuple[Rectangle, list[Rectangle]]] = []
    for rectangle in rectangles:
        hull, together = rectangle, [rectangle]
        while True:
            near = [group for group in groups if _near(hull, group[0], 3 * reach)]
            if not near:
                break
            groups = [group for group in groups if group not in near]
            hull = _hull([hull, *(other for other, _ in near)])
            together += [member for _, members in near for member in members]
        groups.append((hull, together))
    return groups


def _near(one: Rectangle, other: Rectangle, distance: int) -> bool:
    return (
        one[0] - distance < other[2]
        and other[0] - distance < one[2]
        and one[1] - distance < other[3]
        and other[1] - distance < one[3]
    )


def _hull(rectangles: Sequence[Rectangle]) -> Rectangle:
    lefts, tops, rights, bottoms = zip(*rectangles, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _around(rectangle: Rectangle, margin: int, width: int, height: int) -> Rectangle:
    left, top, right, bottom = rectangle
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(width, right + margin),
        min(height, bottom + margin),
    )


def _blur_group(pixels: Pixels, changed: Rectangle, group: list[Rectangle], sigma: float, reach: int) -> None:
    height, width = pixels.shape[:2]
    left, top, right, bottom = changed
    # As far as the blurred image reaches into what changes.
    outer_left, outer_top, outer_right, outer_bottom = _around(changed, reach, width, height)
    region = pixels[outer_top:outer_bottom, outer_left:outer_right]
    mask = np.zeros(region.shape[:2], np.uint8)
    for x0, y0, x1, y1 in group:
        mask[y0 - outer_top : y1 - outer_top, x0 - outer_left : x1 - outer_left] = 255
    inside = np.s_[top - outer_top : bottom - outer_top, left - outer_left : right - outer_left]
    share = _gaussian(mask, sigma)[inside].astype(np.float32) / 255
    clear, soft = region[inside], _gaussian(region, sigma)[inside]
    if clear.ndim == 3:
        share = share[:, :, None]
    mixed = clear + (soft.astype(np.float32) - clear) * share
    clear[:] = np.rint(mixed).astype(np.uint8)


def _gaussian(pixels: Pixels, sigma: float) -> Pixels:
    """A Gaussian of any width at a cost a pixel that does not grow with it."""
    height, width = pixels.shape[:2]
    shrink = int(sigma // _WIDEST_SIGMA) + 1
    if shrink == 1:
        blurred: Pixels = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return blurred
    small = cv2.resize(pixels, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return blurred

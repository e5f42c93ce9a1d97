"""Scaling, cropping and padding as a ``Plan`` says: pixels in, pixels out. Called by the processor.

The one file that says how pixels are scaled: exactly as img2dataset 1.47.0, or on the fast route.
"""

from __future__ import annotations

import cv2

from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.geometry import Plan
from img2dataset.imaging.reduction import steps_of_reduction

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
    "lanczos4": cv2.INTER_LANCZOS4,
}
_WHITE = (255, 255, 255)


def scale(pixels: Pixels, size: tuple[int, int], interpolation: int) -> Pixels:
    """Scale to ``size`` (width, height) with one of OpenCV's interpolations, as img2dataset 1.47.0."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    scaled: Pixels = cv2.resize(pixels, size, interpolation=interpolation)
    return scaled


def reduce_in_steps(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Reduce to ``size`` (width, height) nearly as ``INTER_AREA`` does, in steps that OpenCV vectorises.

    Its area interpolation at a fractional scale takes two to four times as long.
    """
    width, height = pixels.shape[1], pixels.shape[0]
    steps = steps_of_reduction((width, height), size)
    if steps is None:
        return scale(pixels, size, cv2.INTER_AREA)
    if steps.window > 1:
        pixels = cv2.blur(pixels, (steps.window, steps.window))
    multiple = steps.multiple
    while True:
        step = (multiple * size[0], multiple * size[1])
        if (width, height) != step:
            halving = (width, height) == (2 * step[0], 2 * step[1])
            pixels = cv2.resize(pixels, step, interpolation=cv2.INTER_AREA if halving else cv2.INTER_LINEAR)
            width, height = step
        if multiple == 1:
            return pixels
        multiple //= 2


def crop_and_pad(pixels: Pixels, plan: Plan) -> Pixels:
    """Cut out and surround with white what the plan says; a crop is a view."""
    if plan.crop is not None:
        left, top, width, height = plan.crop
        pixels = pixels[top : top + height, left : left + width]
    if plan.pad is not None:
        pixels = cv2.copyMakeBorder(pixels, *plan.pad, cv2.BORDER_CONSTANT, value=_WHITE)
    return pixels

"""Pixels of any depth and with any transparency come in, 8-bit grey or BGR goes out. Called by decode."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from img2dataset.failures import UNSUPPORTED
from img2dataset.imaging.failure import ImageFailure

Pixels = np.ndarray[Any, Any]

_BAND_PIXELS = 500_000


def to_eight_bits(pixels: Pixels, bits: int) -> Pixels:
    """Scale samples of ``bits`` (9 to 16) to 8, rounded to nearest; 8-bit pixels are handed back as they are.

    Raises:
        ImageFailure: floats and 32-bit integers, which have no range that could be scaled from.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise ImageFailure(UNSUPPORTED)
    scaled: Pixels = cv2.convertScaleAbs(pixels, alpha=255 / ((1 << bits) - 1))
    return scaled


def scaled_to_eight_bits(samples: Pixels, bits: int) -> Pixels:
    """Samples of 1 to 16 bits, uint8 or uint16, with the largest as 255, rounded to nearest."""
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    largest = (1 << bits) - 1
    levels: Pixels = ((np.arange(largest + 1, dtype=np.uint32) * 255 + largest // 2) // largest).astype(
        np.uint8
    )
    return levels[samples]


def on_white(pixels: Pixels) -> Pixels:
    """Compose 8-bit BGRA on white, rounded to nearest: 65025 and its half fit 16 bits, so no floats."""
    height, width = pixels.shape[:2]
    composed = np.empty((height, width, 3), np.uint8)
    # In bands: twice the image in 16 bits would take four times its memory.
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = pixels[top : top + rows]
        alpha = band[:, :, 3:].astype(np.uint16)
        colours = band[:, :, :3] * alpha
        colours += (255 - alpha) * 255 + 127
        colours //= 255
        composed[top : top + rows] = colours
    return composed


def outside_of_frame_white(pixels: Pixels, frame: tuple[int, int, int, int]) -> Pixels:
    """Whiten what the first frame of an animation leaves uncovered, which browsers show as transparent."""
    left, top, width, height = frame
    inside = np.s_[top : top + height, left : left + width]
    if pixels[inside].shape == pixels.shape:
        return pixels
    canvas = np.full_like(pixels, 255)
    canvas[inside] = pixels[inside]
    return canvas

"""Deterministic pictures with the statistics of photographs, for every room's tests.

Comes in: a size and a seed. Goes out: an RGB array, or a JPEG (or any format Pillow writes) of it. A
photograph's spectrum falls with frequency, so a picture here is a sum of octaves of smooth random
fields with a little grain: it compresses, scales and blurs the way a photograph does, which flat
colours and white noise do not.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image


@functools.lru_cache(maxsize=64)
def photograph_pixels(width: int = 640, height: int = 480, seed: int = 0) -> np.ndarray[Any, Any]:
    """Pixels of shape (height, width, 3), uint8, RGB; the same for the same arguments. Not writable."""
    random = np.random.default_rng(seed)
    field = np.zeros((height, width, 3), dtype=np.float32)
    cells, amplitude = 2, 60.0
    while cells < max(width, height):
        columns, rows = (
            max(2, cells * width // max(width, height)),
            max(2, cells * height // max(width, height)),
        )
        octave = (random.random((rows, columns, 3), dtype=np.float32) - 0.5) * 2
        for channel in range(3):
            layer = Image.fromarray(octave[:, :, channel], mode="F")
            field[:, :, channel] += amplitude * np.asarray(
                layer.resize((width, height), Image.Resampling.BICUBIC)
            )
        cells, amplitude = cells * 2, amplitude * 0.62
    field += random.normal(0, 2, field.shape).astype(np.float32)
    pixels = np.clip(field + 128, 0, 255).astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


@functools.lru_cache(maxsize=256)
def photograph(
    width: int = 640, height: int = 480, seed: int = 0, *, image_format: str = "JPEG", **save_options: Any
) -> bytes:
    """The same picture encoded by Pillow; ``save_options`` go to ``Image.save`` (quality, progressive …)."""
    encoded = io.BytesIO()
    Image.fromarray(photograph_pixels(width, height, seed)).save(encoded, format=image_format, **save_options)
    return encoded.getvalue()

"""The samples of a TIFF made colours: rows of bytes come in, 8-bit grey or BGR goes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageCms

from img2dataset.failures import CORRUPT
from img2dataset.imaging.colour import Pixels, scaled_to_eight_bits
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.tiff_directory import Directory
from img2dataset.imaging.tiff.layout import CIELAB, INK, PALETTE, RGB, WHITE_IS_ZERO, Layout

_HORIZONTAL = 2


class Colours:
    """How the samples of one image are to be understood.

    Raises:
        ImageFailure: a palette that is too short.
    """

    def __init__(self, directory: Directory, layout: Layout):
        self._layout = layout
        self._order = directory.order
        self._samples = layout.samples if layout.planes == 1 else 1
        self._palette = _palette(directory, layout.bits) if layout.photometric == PALETTE else None

    def samples(self, rows: Pixels) -> Pixels:
        """Rows of bytes as numbers, of shape (rows, width of a piece, samples), uint8 or uint16."""
        bits, width = self._layout.bits, self._layout.piece_width
        count = width * self._samples
        if bits == 8:
            numbers = rows
        elif bits == 16:
            numbers = rows.view(self._order + "u2").astype(np.uint16)
        else:
            single = np.unpackbits(rows, axis=1, count=count * bits).reshape(-1, bits)
            weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
            numbers = (single @ weights).reshape(len(rows), count)
            if bits < 8:
                numbers = numbers.astype(np.uint8)
        numbers = numbers.reshape(len(rows), width, self._samples)
        if self._layout.predictor == _HORIZONTAL:
            numbers = np.cumsum(numbers, axis=1, dtype=numbers.dtype)
        return numbers

    def to_bgr(self, samples: Pixels) -> Pixels:
        """The colours alone, without alpha: (rows, width) or (rows, width, 3)."""
        photometric, bits = self._layout.photometric, self._layout.bits
        if self._palette is not None:
            found: Pixels = self._palette[samples[:, :, 0]]
            return found
        levels = scaled_to_eight_bits(samples, bits)
        if photometric == RGB:
            return levels[:, :, ::-1]
        if photometric == INK:
            light = 255 - levels.astype(np.uint16)
            return (light[:, :, 2::-1] * light[:, :, 3:] // 255).astype(np.uint8)
        if photometric == CIELAB:
            return _lab_to_bgr(levels)
        grey: Pixels = levels[:, :, 0]
        return 255 - grey if photometric == WHITE_IS_ZERO else grey


def _palette(directory: Directory, bits: int) -> Pixels:
    values = np.array(directory.all(320, 3 << bits), np.uint32)
    if len(values) != 3 << bits:
        raise ImageFailure(CORRUPT)
    # 16 bits a colour; some writers left them at 8.
    levels = values if values.max() < 256 else values >> 8
    palette: Pixels = np.ascontiguousarray(levels.reshape(3, -1)[::-1].T.astype(np.uint8))
    return palette


def _lab_to_bgr(samples: Pixels) -> Pixels:
    lab = Image.fromarray(np.ascontiguousarray(samples), "LAB")
    colours: Any = ImageCms.applyTransform(lab, _lab_transform())
    return np.asarray(colours)[:, :, ::-1]


def _lab_transform() -> Any:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")

"""JPEGs decoded straight to a smaller size by the project's own decoder, a C library in ``native``.

It joins decoding and scaling: blocks become means of samples where that is all that is needed, colours are
scaled at their own resolution, and pixels are made for the small image only. What it does not take (damaged,
unusual) goes the way of every other image. Called by the processor on the fast route.
"""

from __future__ import annotations

import numpy as np

from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.native import JpegRequest, native_library
from img2dataset.imaging.reduction import Shortcuts

_WITHOUT_LAST_LUMA_REFINEMENT, _WITHOUT_REFINEMENTS, _WITHOUT_HIGH_LUMA, _GREY = 1, 2, 4, 8


def can_shrink() -> bool:
    """Whether the library is there."""
    return native_library() is not None


def shrink_jpeg(
    body: bytes | bytearray, header: Header, target: tuple[int, int], shortcuts: Shortcuts
) -> Pixels | None:
    """The JPEG's pixels, before orientation, at ``target`` (width, height), neither larger than the file's.

    Args:
        body: the file.
        header: what it says of itself.
        shortcuts: what need not be decoded; they hold for luma, and half as much for colours of half the
            resolution.

    Returns:
        Pixels of shape (height, width) or (height, width, 3), uint8, BGR; None: not for this decoder.
    """
    library = native_library()
    if library is None:
        return None
    width, height = target
    pixels = np.empty((height, width) if header.grey else (height, width, 3), np.uint8)
    request = JpegRequest(
        np.frombuffer(body, np.uint8).ctypes.data,
        len(body),
        pixels.ctypes.data,
        header.width,
        header.height,
        width,
        height,
        shortcuts.reduction,
        max(1, shortcuts.reduction // 2),
        shortcuts.without_last_luma_refinement * _WITHOUT_LAST_LUMA_REFINEMENT
        | shortcuts.without_refinements * _WITHOUT_REFINEMENTS
        | shortcuts.without_high_luma * _WITHOUT_HIGH_LUMA
        | header.grey * _GREY,
    )
    return pixels if library.shrink_jpeg(request) == 0 else None

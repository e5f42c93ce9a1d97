"""The imaging room's processor, handing out its pixels where a stream is asked for pixels.

Encoding only to decode again would cost 2 ms an image and the loss of one more JPEG. Called by
``stream_engine``.
"""

from __future__ import annotations

from typing import Any

from img2dataset.imaging import ImageProcessor, ImageSettings


def image_processor(settings: ImageSettings, encoded: bool) -> ImageProcessor:
    """A processor whose images are bytes of a file, or arrays of shape (height, width, 3), uint8, RGB.

    Images that are kept as they came (``skip_reencode``, ``disable_all_reencoding``) are bytes in any case.
    """
    return ImageProcessor(settings, None if encoded else rgb_array)


def rgb_array(pixels: Any) -> Any:
    """OpenCV's pixels, BGR or grey, as RGB of their own."""
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)

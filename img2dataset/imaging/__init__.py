"""The imaging room: the bytes of one download go in, an image ready to be stored comes out.

``ImageOptions`` says what is wanted, ``ImageProcessor`` does it, ``ImageFailure`` is the reason why it
could not be done. No I/O, no state but constants. Called by the worker and by the training-side stream.
``missing_library`` says what makes it slower than it need be. Settings can be made without importing OpenCV;
the processor, made where used, brings it in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.missing_library import missing_library
from img2dataset.installation import check_installed

if TYPE_CHECKING:
    from img2dataset.imaging.processor import ImageProcessor

__all__ = ["ImageFailure", "ImageProcessor", "missing_library"]


def __getattr__(name: str) -> Any:
    # The parent process of a run makes settings and no pixels: OpenCV would cost it 0.1 s and 40 MB.
    if name == "ImageProcessor":
        # Where cv2.utils.logging is missing, this is read instead, when OpenCV is loaded.
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        check_installed("numpy", "cv2", "PIL.Image", "exifread")
        from img2dataset.imaging.processor import ImageProcessor

        return ImageProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Why an image could not be made, in a small language that can be counted. Raised all over this room."""

from __future__ import annotations

NOT_AN_IMAGE = "decode: not an image"
TRUNCATED = "decode: truncated"
CORRUPT = "decode: corrupt"
UNSUPPORTED = "decode: unsupported format"
TOO_MANY_PIXELS = "too large: pixels"
TOO_SMALL = "image too small"
AREA_TOO_LARGE = "image area too large"
ASPECT_RATIO_TOO_LARGE = "aspect ratio too large"
INVALID_BBOX = "invalid bbox"
INTERNAL_ERROR = "decode: internal error"


class ImageFailure(Exception):
    """One image failed; ``message`` is one of the constants of this file, or ``encode: …``.

    ``width`` and ``height`` are what the metadata is to say of the original's size. They stay None for
    every failure of this room, filtered images included, because img2dataset 1.47.0 records null there.
    """

    def __init__(self, message: str, width: int | None = None, height: int | None = None):
        super().__init__(message)
        self.message = message
        self.width = width
        self.height = height

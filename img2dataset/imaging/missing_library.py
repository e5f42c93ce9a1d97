"""What a run is told that has to do without the library in ``native``. Loads neither NumPy nor OpenCV."""

from __future__ import annotations

from img2dataset.imaging.native import native_library
from img2dataset.imaging.settings import ImageSettings

# pip would else install again the wheel that it made without a compiler, or 1.47.0, which has the name.
_WAY_OUT = "pip install --force-reinstall --no-deps --no-cache-dir . (in a clone of img2dataset)"


def missing_library(settings: ImageSettings) -> str | None:
    """One line with the way out; None: the library is there, or no image is decoded with these settings."""
    if settings.disable_all_reencoding or native_library() is not None:
        return None
    return (
        "the C library of img2dataset is missing, so that JPEGs and PNGs take longer to decode; to have it,"
        f" install a C compiler (on Debian: apt-get install gcc libc6-dev) and install again: {_WAY_OUT}"
    )

"""What a run is told that has to do without the library in ``native``. Loads neither NumPy nor OpenCV."""

from __future__ import annotations

import os

from img2dataset.errors import OptionError
from img2dataset.imaging.native import FILE, SWITCH, native_library
from img2dataset.options import ImageOptions

# pip would else install again the wheel that it made without a compiler, or 1.47.0, which has the name.
_WAY_OUT = "pip install --force-reinstall --no-deps --no-cache-dir . (in a clone of img2dataset)"


def missing_library(settings: ImageOptions) -> str | None:
    """One line with the way out.

    Returns:
        None: the library is there or switched off, or no image is decoded with these settings.

    Raises:
        OptionError: the switch has a value that means nothing.
    """
    switch = os.environ.get(SWITCH, "")
    if switch not in ("", "0", "1"):
        raise OptionError(
            f"the environment variable {SWITCH} is {switch!r}: 0 decodes images without the C library of"
            " img2dataset, 1 with it, as does taking the variable away"
        )
    if settings.disable_all_reencoding or switch == "0" or native_library() is not None:
        return None
    state = "of another version or another kind of machine" if FILE.exists() else "missing"
    return (
        f"the C library of img2dataset is {state}, so that JPEGs and PNGs take longer to decode; to have it,"
        f" install a C compiler (on Debian: apt-get install gcc libc6-dev) and install again: {_WAY_OUT}"
    )

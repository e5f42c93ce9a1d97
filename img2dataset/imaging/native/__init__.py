"""The library of what is written in C here, loaded once; its sources lie beside this file."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "libshrink.so"


@cache
def native_library() -> ctypes.CDLL | None:
    """The library, or None where it is missing, of another kind of machine or of an earlier version."""
    number, size, address = ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p
    try:
        library = ctypes.CDLL(str(_FILE))
        library.shrink_jpeg.argtypes = [address, size, *[number] * 7, address]
        library.unfilter_png.argtypes = [address, size, size, number, address]
    except (OSError, AttributeError):
        return None
    return library

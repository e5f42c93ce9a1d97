"""The library of what is written in C here, loaded once; its sources lie beside this file."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

# What the structs and functions below mean; NATIVE_ABI in interface.h is the same number.
ABI = 1
# 0 in this environment variable: images are decoded without the library.
SWITCH = "IMG2DATASET_NATIVE"
FILE = Path(__file__).parent / "libshrink.so"


class JpegRequest(ctypes.Structure):
    """``jpeg_request`` of interface.h, which says what each field is."""

    _fields_ = (
        ("body", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("pixels", ctypes.c_void_p),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("target_width", ctypes.c_int32),
        ("target_height", ctypes.c_int32),
        ("luma_reduction", ctypes.c_int32),
        ("colour_reduction", ctypes.c_int32),
        ("flags", ctypes.c_int32),
    )


class PngRequest(ctypes.Structure):
    """``png_request`` of interface.h, which says what each field is."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("pixels", ctypes.c_void_p),
        ("width", ctypes.c_size_t),
        ("height", ctypes.c_size_t),
        ("channels", ctypes.c_int32),
    )


@cache
def native_library() -> ctypes.CDLL | None:
    """The library; None: switched off, missing, of another kind of machine or of another interface."""
    return None if os.environ.get(SWITCH) == "0" else load(FILE)


def load(path: Path) -> ctypes.CDLL | None:
    """The library at ``path``, or None where that is none with this interface."""
    try:
        library = ctypes.CDLL(str(path))
        if library.native_abi() != ABI:
            return None
        library.shrink_jpeg.argtypes = [ctypes.POINTER(JpegRequest)]
        library.unfilter_png.argtypes = [ctypes.POINTER(PngRequest)]
    except (OSError, AttributeError):
        return None
    return library

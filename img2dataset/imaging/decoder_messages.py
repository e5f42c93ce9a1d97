"""What the C decoders print, heard instead of shown: ``with heard() as messages`` around a call.

libjpeg, libpng and libtiff tell of damaged data on C's ``stderr`` and go on as if nothing were: the rest of
the picture is grey or black. Meanwhile ``stderr``, a variable of the C library, is set to a stream that hands
each message to the thread whose decoder wrote it. Python writes to descriptor 2 itself, so the program's own
messages are not touched. It costs 3 µs a call. Where the C library has no such streams (not glibc), nothing
is heard.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_UNBUFFERED = 2
# A file can have a message for each of its bytes.
_MOST_KEPT = 64


class _Functions(ctypes.Structure):
    """``cookie_io_functions_t``."""

    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _WRITE),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


class _Ear:
    """Sets ``stderr`` while at least one thread listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[int, list[bytes]] = {}
        self._stream: int | None = None
        self._before: int | None = None
        self._stderr: Any = None
        try:
            library = ctypes.CDLL(None)
            self._stderr = ctypes.c_void_p.in_dll(library, "stderr")
            library.fopencookie.restype = ctypes.c_void_p
            library.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Functions]
            library.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        except (AttributeError, OSError, TypeError, ValueError):
            return
        # Kept: C calls it as long as the stream is there.
        self._write = _WRITE(self._take)
        self._stream = library.fopencookie(None, b"w", _Functions(None, self._write, None, None))
        if self._stream:
            library.setvbuf(self._stream, None, _UNBUFFERED, 0)

    def _take(self, _cookie: int | None, text: int, length: int) -> int:
        said = ctypes.string_at(text, length)
        heard = self._heard.get(threading.get_ident())
        if heard is None:
            os.write(2, said)  # of a thread that decodes nothing
        elif len(heard) < _MOST_KEPT:
            heard.append(said)
        return length

    def begin(self, heard: list[bytes]) -> None:
        if not self._stream:
            return
        with self._lock:
            if not self._heard:
                self._before, self._stderr.value = self._stderr.value, self._stream
            self._heard[threading.get_ident()] = heard

    def end(self) -> None:
        if not self._stream:
            return
        with self._lock:
            del self._heard[threading.get_ident()]
            if not self._heard:
                self._stderr.value = self._before


_ear = _Ear()


def can_hear() -> bool:
    """Whether what decoders print can be heard on this system."""
    return bool(_ear._stream)


@contextmanager
def heard() -> Iterator[list[bytes]]:
    """What C code of this thread prints to ``stderr`` meanwhile, in pieces; not to be nested."""
    messages: list[bytes] = []
    _ear.begin(messages)
    try:
        yield messages
    finally:
        _ear.end()

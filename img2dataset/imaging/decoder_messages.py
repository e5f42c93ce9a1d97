"""What the C decoders print, captured: ``with captured_messages() as messages`` around a call.

libjpeg, libpng and libtiff tell of damaged data on C's ``stderr`` and go on as if nothing were: the rest of
the picture is grey or black. Meanwhile ``stderr``, a variable of the C library, is set to a stream that hands
each message to the thread whose decoder wrote it. Python writes to descriptor 2 itself, so the program's own
messages are not touched. It costs 3 µs a call. Where the C library has no such streams (not glibc), nothing
is captured.
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


class _Capture:
    """Replaces ``stderr`` while at least one thread captures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[int, list[bytes]] = {}
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
        messages = self._messages.get(threading.get_ident())
        if messages is None:
            os.write(2, said)  # of a thread that decodes nothing
        elif len(messages) < _MOST_KEPT:
            messages.append(said)
        return length

    def begin(self, messages: list[bytes]) -> None:
        if not self._stream:
            return
        with self._lock:
            if not self._messages:
                self._before, self._stderr.value = self._stderr.value, self._stream
            self._messages[threading.get_ident()] = messages

    def end(self) -> None:
        if not self._stream:
            return
        with self._lock:
            del self._messages[threading.get_ident()]
            if not self._messages:
                self._stderr.value = self._before


_capture = _Capture()


@contextmanager
def captured_messages() -> Iterator[list[bytes]]:
    """What C code of this thread prints to ``stderr`` meanwhile, in pieces; not to be nested."""
    messages: list[bytes] = []
    _capture.begin(messages)
    try:
        yield messages
    finally:
        _capture.end()

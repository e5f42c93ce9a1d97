"""A tar on any file system → its bytes, forwards. Called by ``tar_samples``.

Nothing is asked of a file but that it can be read; gzip is undone.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from img2dataset.errors import one_line
from img2dataset.formats.checked_tar import ByteStream
from img2dataset.formats.findings import BrokenFile
from img2dataset.storage.locations import Location, protocols_of

_GZIP_MAGIC = b"\x1f\x8b"
_SKIPPED_BYTES = 1 << 20


@contextmanager
def open_tar(location: Location) -> Iterator[ByteStream]:
    """The bytes of a tar, which may be gzipped.

    Raises:
        BrokenFile: it cannot be opened.
    """
    try:
        file = _open(location)
    except Exception as error:  # every file system has its own errors
        raise BrokenFile(f"cannot be opened: {one_line(error)}") from error
    with closing(file):
        yield _unpacked(file)


def _open(location: Location) -> Any:
    if protocols_of(location.file_system) & {"http", "https"}:
        return _WebFile(_patient(location.file_system), location.path)
    return location.file_system.open(location.path, "rb")


class _WebFile:
    """A file of a web server: by ranges, else, where it knows none, as one answer.

    Ranges are better: the training may rest for longer than a server waits for an answer to be taken.
    """

    def __init__(self, file_system: Any, path: str) -> None:
        self._file_system = file_system
        self._path = path
        self._file = file_system.open(path, "rb")
        self._by_ranges = True
        self._position = 0

    def read(self, size: int, /) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except ValueError:  # so fsspec says that a range was asked for, and the whole was answered
            if not self._by_ranges:
                raise
            self._read_on_without_ranges()
            data = self._file.read(size)
        self._position += len(data)
        return data

    def _read_on_without_ranges(self) -> None:
        self._by_ranges = False
        self._file.close()
        self._file = self._file_system.open(self._path, "rb", block_size=0)
        left = self._position
        while left and (skipped := self._file.read(min(left, _SKIPPED_BYTES))):
            left -= len(skipped)

    def close(self) -> None:
        self._file.close()


def _patient(file_system: Any) -> Any:
    """The http file system with time limits for silences, where it would have one for the whole of a request.

    A tar as one answer lasts as long as the training takes for it; five minutes are aiohttp's limit.
    """
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    client = {"timeout": limits} | file_system.storage_options.get("client_kwargs", {})
    return type(file_system)(**file_system.storage_options | {"client_kwargs": client})


class _Unread:
    """A stream whose first bytes were read before, and how reading them ended."""

    def __init__(self, stream: ByteStream, count: int) -> None:
        self._stream = stream
        self.head = b""
        self._error: Exception | None = None
        try:
            while len(self.head) < count and (more := stream.read(count - len(self.head))):
                self.head += more
        except Exception as error:
            self._error = error

    def read(self, size: int = -1, /) -> bytes:
        if self.head:
            data, self.head = (self.head, b"") if size < 0 else (self.head[:size], self.head[size:])
            return data
        if self._error is not None:
            raise self._error
        return self._stream.read(size)


def _unpacked(file: ByteStream) -> ByteStream:
    whole: Any = _Unread(file, len(_GZIP_MAGIC))
    return gzip.GzipFile(fileobj=whole, mode="rb") if whole.head == _GZIP_MAGIC else whole

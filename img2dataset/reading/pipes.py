"""A pipe or a standard input as a list: read once, kept in a temporary file, readable again."""

from __future__ import annotations

import io
import os
import tempfile
from typing import BinaryIO, cast


class PipeCopy:
    """What a pipe has given so far, in a file without a name that goes away with the process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._source: io.FileIO | None = None
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._length = 0

    def open(self) -> BinaryIO:
        """A reader from the pipe's first byte on. Only one reader may be ahead of the others at a time."""
        return cast(BinaryIO, _PipeReader(self))

    def read_at(self, position: int, size: int) -> bytes:
        if position < self._length:
            return os.pread(self._copy.fileno(), min(size, self._length - position), position)
        if self._source is None:
            self._source = io.FileIO(self.path)
        piece = self._source.read(size) or b""
        written = 0
        while written < len(piece):
            written += os.pwrite(self._copy.fileno(), piece[written:], self._length + written)
        self._length += len(piece)
        return piece


class _PipeReader(io.RawIOBase):
    def __init__(self, pipe: PipeCopy) -> None:
        self._pipe = pipe
        self._position = 0

    def readable(self) -> bool:
        return True

    # The base class allows any kind of buffer; its ``read`` and buffered readers give such as have slices.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._pipe.read_at(self._position, len(buffer))
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

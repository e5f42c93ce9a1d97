"""Images of one shard read by key, in any order. Used by the formats for the training side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from img2dataset.formats.findings import BrokenFile


class ImagesInFile:
    """Images that lie whole in one local file.

    Args:
        path: of the file; opened when an image is first read, and for each process again.
        ranges: where each key's image begins, and its size in bytes.
    """

    def __init__(self, path: str, ranges: Mapping[str, tuple[int, int]]) -> None:
        self._path = path
        self._ranges = ranges
        self._file: int | None = None

    def read(self, key: str) -> bytes | None:
        found = self._ranges.get(key)
        if found is None:
            return None
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY)
        # pread: several processes may have inherited the file.
        return os.pread(self._file, found[1], found[0])

    def __reduce__(self) -> tuple[object, ...]:
        return ImagesInFile, (self._path, self._ranges)  # a descriptor is this process's own

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


@contextlib.contextmanager
def told_as_broken() -> Iterator[None]:
    """What is wrong with a file's contents, a ``ValueError``, as ``BrokenFile``."""
    try:
        yield
    except ValueError as error:
        raise BrokenFile(f"is broken: {error}") from error

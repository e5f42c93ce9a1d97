"""A file of a store that is read on where it was when a read has failed for a while.

In: what opens it. Out: a file to read from, whose reads are tried again. Called by ``reading`` for lists and
by ``working`` for the metadata of shards.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any


class SteadyFile(io.RawIOBase):
    """Reads a file, opened anew after each failure; one that cannot be entered in the middle, as it is.

    Args:
        open_file: opens it; raises what says that it is another file now.
        tried: has an operation done again where it may help, such as ``Location.tried``.

    Raises:
        Exception: as ``open_file``.
    """

    def __init__(self, open_file: Callable[[], Any], tried: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__()
        self._open_file, self._tried = open_file, tried
        self._file: Any = tried(open_file)
        self._seekable = bool(self._file.seekable())
        self._position = 0
        # What the store has answered at last, where a read was given up: its readers may say it otherwise.
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            self._position = self._again(lambda file: file.seek(offset, whence))
        else:
            self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        length = -1 if size is None else size

        def read(file: Any) -> bytes:
            if self._seekable and file.tell() != self._position:
                file.seek(self._position)
            contents: bytes = file.read(length)
            return contents

        contents = self._again(read) if self._seekable else read(self._file)
        self._position += len(contents)
        return contents

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        contents = self.read(len(buffer))
        buffer[: len(contents)] = contents
        return len(contents)

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()

    def _again(self, operation: Callable[[Any], Any]) -> Any:
        def attempt() -> Any:
            if self._file is None:
                self._file = self._open_file()
            try:
                return operation(self._file)
            except Exception:
                self._drop()
                raise

        try:
            return self._tried(attempt)
        except Exception as error:
            self.error = error
            raise

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(Exception):  # what was read from it is read already
                file.close()

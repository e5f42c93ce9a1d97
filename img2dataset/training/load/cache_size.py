"""The bytes of all entries of a cache folder, as its file ``size`` has them, and what goes above its bound.

Called by ``cache``, from many processes: the number is read and written under a lock of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from img2dataset.storage.locks import locked

KEPT_AFTER_REMOVAL = 0.9


class CacheSize:
    """The size of the entries in ``folder``, bounded by ``max_bytes``; None: not bounded."""

    def __init__(self, folder: Path, max_bytes: int | None):
        self._folder = folder
        self._max_bytes = max_bytes

    def entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every entry's file, with its size and the time of its last use."""
        for folder in (self._folder / "objects").iterdir():
            if not folder.is_dir():
                continue
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    yield path, path.stat()

    def change(self, difference: int) -> bool:
        """Add to the size; above the bound, remove the least recently used entries, and say so."""
        with self._lock():
            size = self._read()
            if size is None:
                size = sum(status.st_size for _path, status in self.entries())
            size = max(0, size + difference)
            is_over = self._max_bytes is not None and difference > 0 and size > self._max_bytes
            if is_over:
                size = self._remove_least_recently_used(difference)
            self._write(size)
        return is_over

    def clear(self) -> int:
        """Remove every entry; returns how many."""
        removed = 0
        with self._lock():
            for path, _status in self.entries():
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
            self._write(0)
        return removed

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._folder / "size.lock")

    def _remove_least_recently_used(self, coming: int) -> int:
        assert self._max_bytes is not None
        entries = sorted(self.entries(), key=lambda entry: entry[1].st_mtime)
        size = coming + sum(status.st_size for _path, status in entries)
        wanted = max(coming, int(self._max_bytes * KEPT_AFTER_REMOVAL))
        for path, status in entries:
            if size <= wanted:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= status.st_size
        return size

    def _read(self) -> int | None:
        try:
            return int((self._folder / "size").read_text())
        except (OSError, ValueError):
            return None

    def _write(self, size: int) -> None:
        # Twenty digits in one write: there is no half of it.
        with open(self._folder / "size", "w" if self._read() is None else "r+") as file:
            file.write(f"{size:020d}")

"""The bytes and the number of all entries of a cache folder (its file ``size``), and what goes above a bound.

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
    """The size and the number of the entries in ``folder``, and their bounds; None: not bounded."""

    def __init__(self, folder: Path, max_bytes: int | None, max_entries: int | None = None):
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_entries = max_entries

    def entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every entry's file, with its size and the time of its last use."""
        for folder in _listed(self._folder / "objects"):
            for path in _listed(folder):
                with contextlib.suppress(FileNotFoundError):
                    yield path, path.stat()

    def change(self, difference: int) -> bool:
        """Add an entry of so many bytes, or take one away; above a bound, remove the least recently used
        entries, and say so."""
        is_more = difference > 0
        with self._lock():
            size, count = self._read() or self._counted()
            size, count = max(0, size + difference), max(0, count + (1 if is_more else -1))
            is_over = is_more and not self._fits(size, count)
            if is_over:
                size, count = self._remove_least_recently_used(difference)
            self._write(size, count)
        return is_over

    def clear(self) -> int:
        """Remove every entry; returns how many.

        Raises:
            OSError: one cannot be removed.
        """
        removed = 0
        if not (self._folder / "objects").is_dir():
            return removed
        with self._lock():
            for path, _status in self.entries():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                    removed += 1
            self._write(0, 0)
        return removed

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._folder / "size.lock")

    def _fits(self, size: int, count: int, share: float = 1.0) -> bool:
        """Whether this is within the bounds, or a share of them."""
        return (self._max_bytes is None or size <= int(self._max_bytes * share)) and (
            self._max_entries is None or count <= max(1, int(self._max_entries * share))
        )

    def _counted(self) -> tuple[int, int]:
        sizes = [status.st_size for _path, status in self.entries()]
        return sum(sizes), len(sizes)

    def _remove_least_recently_used(self, coming: int) -> tuple[int, int]:
        entries = sorted(self.entries(), key=lambda entry: entry[1].st_mtime)
        size = coming + sum(status.st_size for _path, status in entries)
        count = 1 + len(entries)
        for path, status in entries:
            if self._fits(size, count, KEPT_AFTER_REMOVAL):
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= status.st_size
            count -= 1
        return size, count

    def _read(self) -> tuple[int, int] | None:
        try:
            size, count = map(int, (self._folder / "size").read_text().split())
        except (OSError, ValueError):
            return None
        return size, count

    def _write(self, size: int, count: int) -> None:
        # Always as many digits, in one write: there is no half of it.
        with open(self._folder / "size", "w" if self._read() is None else "r+") as file:
            file.write(f"{size:020d} {count:020d}")


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing where it is none, or was removed meanwhile."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []

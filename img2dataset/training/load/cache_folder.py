"""The files of a cache folder: folders are made, entries put whole, leftovers of killed processes swept.

In: a folder; an entry's name and its bytes. Out: the entry's file, and ``size`` raised before it appears.
Called by ``cache``.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path

from img2dataset.errors import OptionError
from img2dataset.storage.putting import put_whole
from img2dataset.training.load.cache_size import CacheSize

STALE_TEMPORARY_S = 3600.0


class CacheFolder:
    """The folder of a cache, made if it is not there.

    Raises:
        OptionError: it cannot be made. One that is there but cannot be written to can still be read.
    """

    def __init__(self, folder: Path, size: CacheSize):
        self._folder = folder
        self._size = size
        try:
            self._make()
        except OSError as error:
            if not (folder / "objects").is_dir():
                raise OptionError(
                    f"the cache folder {str(folder)!r} cannot be made: {error.strerror}"
                ) from error
        self._sweep()

    def put(self, path: Path, data: bytes) -> None:
        """Put an entry under its name, ``path``, in place of what stands there.

        Raises:
            OSError: it cannot be stored.
        """
        try:
            self._put(path, data)
        except FileNotFoundError:  # somebody has removed the folder, or parts of it, meanwhile
            self._make()
            self._put(path, data)

    def remove(self, path: Path, size: int) -> None:
        """Remove an entry of so many bytes, if it can be."""
        with contextlib.suppress(OSError):
            path.unlink()
            self._count(-size)

    def _make(self) -> None:
        for name in ("objects", "locks", "temporary"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    def _put(self, path: Path, data: bytes) -> None:
        temporary = self._folder / "temporary" / f"{path.name[:16]}.{uuid.uuid4().hex}"
        with put_whole(path, temporary):
            temporary.write_bytes(data)
            path.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._count(-path.stat().st_size)
            self._count(len(data))

    def _count(self, change: int) -> None:
        if self._size.change(change):
            self._sweep()

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            for path in (self._folder / "temporary").iterdir():
                with contextlib.suppress(OSError):
                    # A time far ahead is of a clock that was wrong.
                    if abs(time.time() - path.stat().st_mtime) > STALE_TEMPORARY_S:
                        path.unlink()

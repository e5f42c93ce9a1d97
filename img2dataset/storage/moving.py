"""Moving files over others: on the local disk, and on remote file systems that rename.

In: paths of one file system. Out: moved or removed files; what is gone already is no error, since another
process may be at the same rewrite. Called by ``rewriting``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, Protocol


class Place(Protocol):
    """The few steps that a rewrite is made of."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""

    def names(self, folder: str) -> list[str]:
        """What is in a folder; nothing if there is none."""

    def is_folder(self, path: str) -> bool:
        """Whether this is a folder."""

    def read(self, path: str) -> bytes:
        """A small file."""

    def move(self, source: str, target: str) -> None:
        """Put a file in place of whatever stands there."""

    def make_folder(self, path: str) -> None:
        """Make a folder, in place of a file if one stands there."""

    def remove_file(self, path: str) -> None:
        """Remove a file."""

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""

    def flush(self, folder: str) -> None:
        """Wait until the names in a folder are on the disk."""


class LocalPlace:
    """Every move is one step: a reader finds the old file or the new one."""

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def move(self, source: str, target: str) -> None:
        try:
            os.replace(source, target)
        except IsADirectoryError:
            shutil.rmtree(target)
            os.replace(source, target)
        except FileNotFoundError:
            if not os.path.lexists(target):
                raise

    def make_folder(self, path: str) -> None:
        try:
            os.makedirs(path, exist_ok=True)
        except FileExistsError:
            os.unlink(path)
            os.mkdir(path)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def remove_folder(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)

    def flush(self, folder: str) -> None:
        flush_to_disk(folder)


class FsspecPlace:
    """HDFS, SFTP and their like. Some servers do not rename onto a file: it is removed first.

    So there is a moment without the file. A crash in it loses nothing: the journal still has the new one.
    """

    def __init__(self, file_system: Any) -> None:
        self._file_system = file_system

    def exists(self, path: str) -> bool:
        self._file_system.invalidate_cache()
        return bool(self._file_system.exists(path))

    def names(self, folder: str) -> list[str]:
        self._file_system.invalidate_cache()
        try:
            paths = self._file_system.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in paths]

    def is_folder(self, path: str) -> bool:
        return bool(self._file_system.isdir(path))

    def read(self, path: str) -> bytes:
        contents: bytes = self._file_system.cat_file(path)
        return contents

    def move(self, source: str, target: str) -> None:
        if not self.exists(source):
            return
        if self.exists(target):
            self._file_system.rm(target, recursive=True)
        self._file_system.mv(source, target)

    def make_folder(self, path: str) -> None:
        self._file_system.makedirs(path, exist_ok=True)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file_system.rm_file(path)

    def remove_folder(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file_system.rmdir(path)

    def flush(self, folder: str) -> None:
        pass  # these file systems have nothing for it


def flush_to_disk(path: str) -> None:
    """Wait until a file's contents, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

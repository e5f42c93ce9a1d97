"""The files of a shard, wherever the output folder is.

In: names. Out: bytes, or a file on the local disk to read from: a file of an object store is fetched once,
in one piece, to ``TMPDIR``, so that one reader for each format serves every file system, and at most one such
file a process is there at a time. Called by the checks of one shard.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

from img2dataset.errors import one_line
from img2dataset.formats.findings import UnreadableShard
from img2dataset.formats.format import FolderEntry
from img2dataset.storage.locations import Location, is_taken_for_pattern
from img2dataset.storage.retries import with_retries

# Files of a remote folder asked for at once: enough to hide a store's latency, bounded in memory.
_FILES_AT_ONCE = 256
_BYTES_AT_ONCE = 32 << 20


class ShardFiles:
    """Reads from one output folder; a ``DataSource``.

    Every method raises ``UnreadableShard`` when the disk or the store fails, which says nothing of the shard.
    """

    def __init__(self, location: Location) -> None:
        self._location = location

    @contextlib.contextmanager
    def local_file(self, name: str) -> Iterator[str]:
        """The path of a file on the local disk that holds the contents of this one."""
        if self._location.is_local:
            yield self._path(name)
            return
        with tempfile.TemporaryDirectory(prefix="img2dataset-verify-") as folder:
            copy = os.path.join(folder, "copy")
            with _failures_named(name):
                with_retries(lambda: self._location.file_system.get_file(self._path(name), copy))
            yield copy

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file, from its beginning."""
        with self.local_file(name) as path, open(path, "rb") as file:
            yield file

    def read(self, name: str) -> bytes:
        """The contents of a small file."""
        with _failures_named(name):
            if self._location.is_local:
                with open(self._path(name), "rb") as file:
                    return file.read()
            contents: bytes = with_retries(lambda: self._location.file_system.cat_file(self._path(name)))
            return contents

    def list(self, folder: str) -> list[FolderEntry]:
        """What is in a shard's folder, sorted by name."""
        path = self._path(folder)
        with _failures_named(folder):
            if self._location.is_local:
                with os.scandir(path) as entries:
                    found = [
                        FolderEntry(entry.name, entry.stat().st_size, entry.is_file()) for entry in entries
                    ]
            else:
                listing = with_retries(lambda: self._location.file_system.ls(path, detail=True))
                found = [_remote_entry(entry) for entry in listing if entry["name"].rstrip("/") != path]
        return sorted(found, key=lambda entry: entry.name)

    def read_many(self, folder: str, entries: Iterable[FolderEntry]) -> Iterator[bytes]:
        """The contents of files of a shard's folder, in order."""
        if self._location.is_local:
            for entry in entries:
                yield self.read(f"{folder}/{entry.name}")
            return
        for batch in _batches(entries):
            paths = [self._path(f"{folder}/{entry.name}") for entry in batch]
            with _failures_named(folder):
                contents = with_retries(partial(self._contents, paths))
            yield from contents

    def _contents(self, paths: Sequence[str]) -> Sequence[bytes]:
        file_system = self._location.file_system
        if is_taken_for_pattern(self._location.path):
            return [file_system.cat_file(path) for path in paths]
        contents = file_system.cat(paths)  # of a store, all at once
        # One path alone comes back as its contents.
        return [contents] if isinstance(contents, bytes) else [contents[path] for path in paths]

    def _path(self, name: str) -> str:
        return f"{self._location.path}/{name}"


def _remote_entry(entry: dict[str, Any]) -> FolderEntry:
    name = entry["name"].rstrip("/").rpartition("/")[2]
    return FolderEntry(name, entry["size"] or 0, entry["type"] == "file")


def _batches(entries: Iterable[FolderEntry]) -> Iterator[list[FolderEntry]]:
    batch: list[FolderEntry] = []
    total = 0
    for entry in entries:
        if batch and (len(batch) == _FILES_AT_ONCE or total + entry.size > _BYTES_AT_ONCE):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += entry.size
    if batch:
        yield batch


@contextlib.contextmanager
def _failures_named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise UnreadableShard(f"{name} cannot be read: {one_line(error)}") from error

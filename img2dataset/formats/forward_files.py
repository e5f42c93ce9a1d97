"""The data of shards read forwards from any file system, and no more of them than is asked for.

In: names. Out: an open file, or the files of a shard's folder whose samples are wanted: a ``DataSource``.
Used by the training side, by ``inspecting`` and by reports, which take a few samples of a shard; a check
reads all of it by ``shard_files``.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO

from img2dataset.formats.format import FolderEntry

_COPIED_BYTES = 1 << 20


class ForwardFiles:
    """Reads the data of shards in one output folder; see ``DataSource``.

    Args:
        file_system: of the folder, fsspec's.
        folder: its path there.
        wanted: keys; of a folder of files, only those of these samples are listed.
    """

    def __init__(self, file_system: Any, folder: str, wanted: Collection[str]) -> None:
        self._file_system = file_system
        self._folder = folder
        self.wanted = wanted

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file, from its beginning."""
        return open_to_seek(self._file_system, f"{self._folder}/{name}")

    def list(self, folder: str) -> Sequence[FolderEntry]:
        """The files of the wanted samples."""
        listing = self._file_system.ls(f"{self._folder}/{folder}", detail=True)
        entries = (
            FolderEntry(posixpath.basename(entry["name"]), entry["size"] or 0, entry["type"] == "file")
            for entry in listing
        )
        wanted = (entry for entry in entries if entry.name.partition(".")[0] in self.wanted)
        return sorted(wanted, key=lambda entry: entry.name)

    def read_many(self, folder: str, entries: Sequence[FolderEntry]) -> Iterator[bytes]:
        """The contents of files of a folder, in order."""
        for entry in entries:
            yield self._file_system.cat_file(f"{self._folder}/{folder}/{entry.name}")


@contextmanager
def open_to_seek(file_system: Any, path: str) -> Iterator[BinaryIO]:
    """The open file; where the file system gives a stream, a copy of it on the disk for that time."""
    with file_system.open(path, "rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile() as copy:
            while block := file.read(_COPIED_BYTES):
                copy.write(block)
            copy.seek(0)
            yield copy

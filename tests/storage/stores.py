"""Stores to write to in tests, and what stands in them."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem


def read(folder: str, name: str) -> bytes:
    with fsspec.open(f"{folder}/{name}", "rb") as file:
        contents: bytes = file.read()
    return contents


class UnsteadyStore(MemoryFileSystem):
    """An object store whose uploads fail now and then, and that remembers their order."""

    protocol = "unsteady"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    uploads: ClassVar[list[str]] = []
    failures: ClassVar[list[Exception]] = []
    # A crash that leaves what has been done so far: every later put and removal is refused.
    steps_until_it_breaks: ClassVar[int | None] = None
    # Several threads upload at once.
    _one_at_a_time: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def empty(cls) -> None:
        """No object, and none of the folders that an object store has not either."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        with self._one_at_a_time:
            if self.failures:
                raise self.failures.pop()
        self._step()
        self.uploads.append(rpath.rpartition("/")[2])
        super().put_file(lpath, rpath, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self._step()
        self.uploads.append(path.rpartition("/")[2])
        super().pipe_file(path, value, **options)

    def rm_file(self, path: str) -> None:
        self._step()
        super().rm_file(path)

    def _step(self) -> None:
        with self._one_at_a_time:
            if UnsteadyStore.steps_until_it_breaks is not None:
                UnsteadyStore.steps_until_it_breaks -= 1
                if UnsteadyStore.steps_until_it_breaks < 0:
                    raise PermissionError("the connection is gone")


class RenamingServer(LocalFileSystem):
    """Like SFTP or HDFS: an upload can be seen while it lasts, and no rename replaces anything."""

    protocol: ClassVar[tuple[str, ...]] = ("renaming", "sftp")
    moves: ClassVar[list[tuple[str, str]]] = []
    moves_until_it_breaks: ClassVar[int | None] = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = LocalFileSystem._strip_protocol(path.removeprefix("renaming://"))
        return stripped

    uploads_under_way: ClassVar[set[str]] = set()

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        """As on one connection: a second upload at once would take the answers to the first."""
        assert not self.uploads_under_way, f"{rpath} is uploaded during {self.uploads_under_way}"
        self.uploads_under_way.add(rpath)
        try:
            time.sleep(0.001)  # another thread, if there is one, comes in here
            super().put_file(lpath, rpath, **options)
        finally:
            self.uploads_under_way.remove(rpath)

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        if RenamingServer.moves_until_it_breaks is not None:
            RenamingServer.moves_until_it_breaks -= 1
            if RenamingServer.moves_until_it_breaks < 0:
                raise PermissionError("the connection is gone")
        if os.path.lexists(path2):
            raise FileExistsError(path2)
        self.moves.append((path1, path2))
        os.rename(path1, path2)

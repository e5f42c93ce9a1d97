"""Where a list is → the files it consists of, on any file system fsspec knows. Called by the reader."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, cast

from img2dataset.errors import InputError, one_line
from img2dataset.reading.pipes import PipeCopy
from img2dataset.storage.locations import locate, missing_package, protocols_of
from img2dataset.storage.patience import Patience
from img2dataset.storage.retries import Result, with_retries
from img2dataset.storage.schemes import take_one_at_a_time
from img2dataset.storage.steady_file import SteadyFile
from img2dataset.types import InputFile

# What stores call the mark that changes with a file's content; a modification time stands in for it.
_MARKS = ("ETag", "etag", "e_tag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified", "updated")


class ListFile:
    """One file of the list that can be opened again and again; a pipe too, by keeping what it gave."""

    def __init__(
        self,
        file_system: Any,
        name: str,
        path: str,
        info: dict[str, Any] | None = None,
        identity: InputFile | None = None,
    ) -> None:
        self.name = name
        self.path = path  # as messages show it
        self._file_system = file_system
        self._local = "file" in protocols_of(file_system)
        self._pipe: PipeCopy | None = None
        # Whether lines that are no text have been told of.
        self.told_of_encoding = False
        # How long its store is waited for when it is away; None: five tries.
        self.patience: Patience | None = None
        self.identity = self._found(info) if identity is None else identity

    def _found(self, info: dict[str, Any] | None) -> InputFile:
        if self._local:
            status = os.stat(self.name)
            if not stat.S_ISREG(status.st_mode):
                self._pipe = PipeCopy(self.name)
                return InputFile(self.path, None, None)
            info = {"size": status.st_size, "mtime": status.st_mtime}
        elif info is None:
            info = with_retries(partial(self._file_system.info, self.name))
        return self._identity(info, next((key for key in _MARKS if info.get(key)), None))

    @property
    def is_pipe(self) -> bool:
        return self._pipe is not None

    @property
    def takes_one_at_a_time(self) -> bool:
        """Whether no two threads may read of its file system at once."""
        return take_one_at_a_time(protocols_of(self._file_system))

    def _identity(self, info: dict[str, Any], key: str | None) -> InputFile:
        size = info.get("size")
        mark = info.get(key) if key else None
        if mark is not None and not isinstance(mark, float):
            mark = str(mark)
        return InputFile(self.path, None if size is None else int(size), mark, key)

    def check_unchanged(self) -> None:
        """InputError if the file is gone or another one than when the reader was opened."""
        if self._pipe is not None:
            return
        try:
            if self._local:
                status = os.stat(self.name)
                info: dict[str, Any] = {"size": status.st_size, "mtime": status.st_mtime}
            else:
                self._file_system.invalidate_cache()
                info = self._tried(partial(self._file_system.info, self.name))
        except Exception as error:  # every store has its own errors
            raise InputError(f"{self.path} cannot be read any more: {one_line(error)}") from error
        now = self._identity(info, self.identity.modified_key)
        # A store may leave the mark out of one answer and not of another: that is no change.
        same_mark = now.modified is None or now.modified == self.identity.modified
        if now.size != self.identity.size or not same_mark:
            raise InputError(
                f"{self.path} changed while it was being read (size {self.identity.size} → {now.size}); "
                "its shards would not fit together: start again into another output folder"
            )

    def open(self) -> BinaryIO:
        """The file from its beginning; InputError if that fails."""
        try:
            if self._pipe is not None:
                return self._pipe.open()
            if self._local:
                return open(self.name, "rb", buffering=0)
            return self._steady(partial(self._file_system.open, self.name, "rb"))
        except Exception as error:  # every store has its own errors
            raise InputError(f"{self.path} cannot be opened: {one_line(error)}") from error

    def open_parts(self) -> BinaryIO:
        """As ``open``, for one who reads parts of it: a store sends no more than is asked for."""
        if self._local or self._pipe is not None:
            return self.open()
        try:
            # By default, up to 50 MB more are read ahead.
            return self._steady(partial(self._file_system.open, self.name, "rb", cache_type="none"))
        except Exception as error:  # every store has its own errors
            raise InputError(f"{self.path} cannot be opened: {one_line(error)}") from error

    def _steady(self, open_file: Callable[[], Any]) -> BinaryIO:
        """The file, read on where it was when its store was away for a while, if it is the same file then."""
        opened = False

        def open_or_again() -> Any:
            nonlocal opened
            if opened:
                self.check_unchanged()
            file = open_file()
            opened = True
            return file

        return cast("BinaryIO", SteadyFile(open_or_again, self._tried))

    def _tried(self, operation: Callable[[], Result]) -> Result:
        return with_retries(operation) if self.patience is None else self.patience.tried(operation)

    def has_parts(self) -> bool:
        """Whether parts of it can be read: not of a pipe, nor where a server sends all of it or nothing."""
        if self._local or self._pipe is not None:
            return self._pipe is None
        if not self.identity.size:
            return False
        with suppress(Exception), self.open_parts() as stream:  # every store has its own errors
            stream.seek(self.identity.size - 1)
            return len(stream.read(1)) == 1
        return False

    def head(self, length: int) -> bytes:
        with self.open_parts() as stream:
            try:
                return stream.read(length)
            except Exception as error:  # every store has its own errors
                raise InputError(f"{self.path} cannot be read: {one_line(error)}") from error


def find_files(url_list: str, input_format: str, patience: Patience | None = None) -> list[ListFile]:
    """The files of a list, sorted by path: a file, those of a folder with the format's ending, a glob.

    Folders are not descended into; names that begin with a dot are not taken.

    Args:
        url_list: where.
        input_format: its ending.
        patience: with its store, from when it has been found.

    Raises:
        InputError: nothing is there, or it cannot be read.
        MissingDependency: the file system needs a package that is not installed.
    """
    location = locate(url_list, "url_list", InputError)
    file_system, name = location.file_system, location.path
    try:
        found = location.tried(lambda: _listed(file_system, name, url_list, f".{input_format}"))
        files = [
            ListFile(file_system, path, _shown(file_system, path), found[path] or None)
            for path in sorted(found)
        ]
        for file in files:
            file.patience = patience
        return files
    except InputError:
        raise
    except ImportError as error:
        raise missing_package(url_list, "url_list", error) from error
    except Exception as error:  # every store has its own errors
        raise InputError(f"url_list {url_list} cannot be read: {one_line(error)}") from error


def file_again(url_list: str, identity: InputFile, patience: Patience | None = None) -> ListFile:
    """A file of a list as ``find_files`` has found it, perhaps on another machine; nothing is asked of it.

    Raises:
        InputError: its file system cannot be set up.
        MissingDependency: the file system needs a package that is not installed.
    """
    file_system = locate(url_list, "url_list", InputError).file_system
    path = identity.path
    name = path if "file" in protocols_of(file_system) else file_system._strip_protocol(path)
    file = ListFile(file_system, name, path, identity=identity)
    file.patience = patience
    return file


def _listed(file_system: Any, name: str, url_list: str, ending: str) -> dict[str, dict[str, Any]]:
    """Path → what the listing says of it (nothing for a single file)."""
    if file_system.isdir(name):
        entries = {entry["name"]: entry for entry in file_system.ls(name, detail=True)}
        found = {path: entry for path, entry in entries.items() if path.endswith(ending)}
        nothing = f"folder {url_list} holds no file ending in {ending} (input_format)"
    elif file_system.exists(name):
        return {name: {}}
    elif any(character in url_list for character in "*?["):
        found = file_system.glob(name, detail=True)
        nothing = f"url_list {url_list}: no file matches this pattern"
    else:
        raise InputError(f"url_list {url_list} does not exist")
    found = {path: entry for path, entry in found.items() if _visible(path) and entry["type"] != "directory"}
    if not found:
        raise InputError(nothing)
    return found


def _visible(name: str) -> bool:
    return not name.rsplit("/", 1)[-1].startswith(".")


def _shown(file_system: Any, name: str) -> str:
    return name if "file" in protocols_of(file_system) else str(file_system.unstrip_protocol(name))

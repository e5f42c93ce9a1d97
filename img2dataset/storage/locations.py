"""Which file system a path is on, and what its moves and uploads promise.

In: any fsspec path. Out: the file system and the path on it, or one clear error. Called by
``OutputFolder`` and by the commit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import MissingDependency, OutputError
from img2dataset.installation import install_extra
from img2dataset.storage.paths import open_path

# Protocols whose package is one of this project's extras.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "hf": "hf",
}

# Here a file that is being uploaded can already be seen, and a move is one step; on an object store an
# object appears whole, and a move is another copy.
_SHOW_PARTIAL_FILES = {"hdfs", "arrow_hdfs", "webhdfs", "sftp", "ssh", "ftp", "smb"}


@dataclass(frozen=True)
class Location:
    """A folder on some file system; ``path`` without its protocol."""

    file_system: Any  # fsspec.AbstractFileSystem
    path: str
    name: str

    @property
    def is_local(self) -> bool:
        return "file" in _protocols(self.file_system)

    @property
    def has_buckets(self) -> bool:
        """Whether it is a store whose folders need not be made, and whose buckets are not ours to make."""
        return not _EXTRAS.keys().isdisjoint(_protocols(self.file_system))

    @property
    def shows_partial_files(self) -> bool:
        return not _SHOW_PARTIAL_FILES.isdisjoint(_protocols(self.file_system))


def locate(path: str) -> Location:
    """The file system and the path on it of an fsspec path.

    Raises:
        MissingDependency: the protocol's package is not installed.
        OutputError: the protocol is unknown, or its file system cannot be set up.
    """
    protocol = path.partition("://")[0] if "://" in path else "file"
    try:
        file_system, path_on_it = open_path(path)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        way_out = install_extra(extra) if extra else str(error)
        raise MissingDependency(
            f"output_folder {path!r}: the package for {protocol}:// is not installed: {way_out}"
        ) from error
    except Exception as error:
        raise OutputError(f"output_folder {path!r} cannot be opened: {one_line(error)}") from error
    return Location(file_system, path_on_it.rstrip("/") or path_on_it, path)


def write_whole(path: str, text: str, only_if_absent: bool) -> None:
    """Put a text under a name on the local disk, in one step.

    Raises:
        FileExistsError: ``only_if_absent``, and there is a file.
        OSError: it cannot be written.
    """
    temporary = f"{path}.{secrets.token_hex(4)}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        if only_if_absent:
            _link_or_create(temporary, path, text)
        else:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _link_or_create(temporary: str, path: str, text: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)


def put_if_absent(file_system: Any, path: str, contents: bytes) -> None:
    """Put a small object, unless there is one.

    In one step where the store and its package can (S3 with s3fs 2026, memory); else after a look, so that
    two processes may both put theirs.

    Raises:
        FileExistsError: there is one.
    """
    try:
        file_system.pipe_file(path, contents, mode="create")
    except (TypeError, NotImplementedError, ValueError):
        file_system.invalidate_cache()
        if file_system.exists(path):
            raise FileExistsError(path) from None
        file_system.pipe_file(path, contents)


def one_line(error: BaseException) -> str:
    """An error's reason on one line; the class where it has no text."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__


def _protocols(file_system: Any) -> set[str]:
    protocol = file_system.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)

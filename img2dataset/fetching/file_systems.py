"""The file systems of allowed schemes: which there are, where a ``file:`` URL leads, what their errors mean.

Used by ``stored_files``, which reads, and before a run by whoever checks its options.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from img2dataset import failures
from img2dataset.errors import MissingDependency, OptionError
from img2dataset.failures import Failure
from img2dataset.fetching.machine import RESOURCE_ERRORS
from img2dataset.fetching.urls import WEB_SCHEMES
from img2dataset.storage.schemes import way_to_install

# They read something else in another way, which would be a way around what is allowed.
_WRAPPERS = frozenset(
    {
        "blockcache",
        "cached",
        "dir",
        "filecache",
        "generic",
        "libarchive",
        "reference",
        "simplecache",
        "tar",
        "zip",
    }
)


def check_schemes(schemes: Iterable[str]) -> None:
    """Whether every scheme can be read here; to be called before a run.

    Raises:
        OptionError: fsspec does not know it, or it only wraps others.
        MissingDependency: the package for it is not installed.
    """
    for scheme in schemes:
        if scheme.lower() not in WEB_SCHEMES:
            file_system_class(scheme.lower())


def file_system_class(scheme: str) -> Any:
    import fsspec
    from fsspec.registry import known_implementations, registry

    if scheme in _WRAPPERS or (scheme not in known_implementations and scheme not in registry):
        raise OptionError(
            f"--allow_schemes has {scheme!r}, which is no scheme of files or stores; use file, s3, gs, hf,"
            " ftp, sftp, or another file system of fsspec"
        )
    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingDependency(
            f"--allow_schemes has {scheme!r}, whose package is missing: {way_to_install([scheme], error)}"
        ) from error


def local_path(url: str) -> str | None:
    """The path of a ``file:`` URL; None unless it is a regular file of this machine."""
    authority, slash, path = url[len("file:") :].removeprefix("//").partition("/")
    if authority not in ("", "localhost") or not slash:
        return None
    path = "/" + unquote(path, errors="surrogateescape")
    # A pipe would hang, and a device never end.
    return path if stat.S_ISREG(os.stat(path).st_mode) else None


def failure_of(error: BaseException) -> Failure:
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return failures.STORED_NO_FILE
    if isinstance(error, PermissionError):
        return failures.STORED_FORBIDDEN
    if isinstance(error, OSError) and error.errno in RESOURCE_ERRORS:
        return failures.OUT_OF_RESOURCES
    if isinstance(error, TimeoutError):
        return failures.TIMEOUT_SILENCE
    return failures.STORED_UNREADABLE

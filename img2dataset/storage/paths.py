"""A path as users write it → the file system it is on, and the path there. The one place that asks fsspec."""

from __future__ import annotations

import os
from typing import Any


def open_path(path: str) -> tuple[Any, str]:
    """The fsspec file system of a path, and the path on it.

    Args:
        path: local, ``protocol://…``, or a chain of these joined by ``::``, as fsspec reads it. A local name
            that has ``::`` in it and is no chain is that name.

    Raises:
        ImportError: the package of its file system is not installed.
        Exception: whatever the file system raises when it is set up.
    """
    import fsspec

    if "::" in path and not _is_chain(path):
        return fsspec.filesystem("file"), os.path.abspath(path)
    file_system, path_on_it = fsspec.core.url_to_fs(path)
    return file_system, path_on_it


def _is_chain(path: str) -> bool:
    """Whether every link but the last names a file system: ``simplecache::s3://bucket/name``."""
    import fsspec

    known = set(fsspec.available_protocols())
    links = path.split("::")[:-1]
    return all(link.partition("://")[0] in known for link in links)

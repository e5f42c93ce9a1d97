"""Which tars are meant: paths, folders and patterns in, the paths of tars out. Called by ``tar_stream``."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from img2dataset.errors import InputError, OptionError, one_line
from img2dataset.storage.locations import locate

ENDINGS = (".tar", ".tar.gz", ".tgz")


def tar_paths(tars: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """The paths of the tars, in the order of ``tars``; those of a folder or a pattern sorted.

    Args:
        tars: a tar, a folder of them, a pattern with ``*``, ``?``, ``[…]`` or ``{000..123}``, or a list of
            these; any fsspec paths.

    Raises:
        InputError: a folder or pattern has none, or cannot be listed.
        OptionError: there is nothing in the list, or something else than paths.
    """
    given = list(tars) if isinstance(tars, Iterable) and not isinstance(tars, str) else [tars]
    for path in given:
        if not isinstance(path, (str, os.PathLike)):
            raise OptionError(f"tars has {path!r}; it takes paths of tars")
    if not given:
        raise OptionError("tars is empty; it takes paths of tars, of folders of them, or patterns")
    return [found for path in given for found in _tars_of(os.path.expanduser(os.fspath(path)))]


def _tars_of(path: str) -> list[str]:
    """One tar for each of those of a path; which is what it says, if there is a file of that name."""
    if "{" in path and not os.path.exists(path):
        return [found for each in _without_braces(path) for found in _tars_of(each)]
    if path.split("::")[0].startswith(("http://", "https://")):
        return [path]  # a server lists nothing, and "?" begins a query
    location = locate(path, "tars", InputError)
    try:
        if glob.has_magic(location.path) and not location.file_system.exists(location.path):
            found = location.file_system.glob(location.path)
        elif location.file_system.isdir(location.path):
            names = location.file_system.ls(location.path, detail=False)
            found = [name for name in names if name.endswith(ENDINGS)]
        else:
            return [path]
    except Exception as error:  # every file system has its own errors
        raise InputError(f"tars {path!r} cannot be listed: {one_line(error)}") from error
    if not found:
        raise InputError(f"tars {path!r} has no tar: no file that ends in {', '.join(ENDINGS)}")
    return list(_full_names(location.file_system, path, sorted(found)))


def _without_braces(path: str) -> Iterator[str]:
    from webdataset.shardlists import expand_urls

    if "::" in path:
        raise OptionError(f"tars has {path!r}; in a chain of file systems braces are not read: give a list")
    try:
        expanded: list[str] = expand_urls(path)
    except Exception as error:
        raise OptionError(f"tars has {path!r}, whose braces cannot be read: {one_line(error)}") from error
    if expanded == [path]:
        raise OptionError(f"tars has {path!r}, which is no file, and its braces no range: {{000..123}}")
    return iter(expanded)


def _full_names(file_system: Any, path: str, names: Sequence[str]) -> Iterator[str]:
    """The names as paths that open on the same file system: chains as chains, local ones as they are."""
    first, *chain = path.split("::")
    for name in names:
        yield "::".join([file_system.unstrip_protocol(name) if "://" in first else name, *chain])

"""What is in a folder, and the removal of it, on any file system. Called by ``working`` and ``verifying``."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from img2dataset.storage.listed_times import read_times_quickly
from img2dataset.storage.locations import Location, is_taken_for_pattern
from img2dataset.storage.renaming import looked_again

# Small requests to a store at a time, and how many are made ready at once: a folder may have a million files.
REQUESTS_AT_ONCE, REQUESTS_READY = 16, 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    location: Location, act: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """``act`` of each of many items, in their order; of a store several at once, where that may be.

    Raises:
        Exception: what ``act`` has raised.
    """
    if location.is_local or location.takes_one_at_a_time:
        yield from map(act, items)
        return
    left = iter(items)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        while some := list(itertools.islice(left, REQUESTS_READY)):
            yield from pool.map(act, some)


def names_in(location: Location, folder: str) -> list[str]:
    """The names of everything directly in a folder; none if there is no folder.

    Raises:
        Exception: it cannot be listed; every file system has its own errors.
    """
    try:
        if location.is_local:
            return looked_again(lambda: os.listdir(folder))
        location.file_system.invalidate_cache()
        # s3fs looks for a folder that is not there in the listing of the one around it, which may have a
        # million files; whether it is there is a small question.
        if location.has_buckets and not location.tried(lambda: location.file_system.exists(folder)):
            return []
        read_times_quickly(location.file_system)
        paths = location.tried(lambda: location.file_system.ls(folder, detail=False))
        # A folder may have millions of files, whose descriptions would be kept to the end of the run.
        location.file_system.invalidate_cache()
    except FileNotFoundError:
        return []
    names = (path.rstrip("/").rpartition("/")[2] for path in paths if path.rstrip("/") != folder)
    return [name for name in names if name]


def remove(location: Location, path: str) -> None:
    """Remove a file, or a folder and all that is in it; what is gone already is no error.

    Raises:
        Exception: it cannot be removed; every file system has its own errors.
    """
    with contextlib.suppress(FileNotFoundError):
        if not location.is_local:
            location.tried(lambda: _remove_on_server(location.file_system, path))
        elif os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _remove_on_server(file_system: Any, path: str) -> None:
    if not is_taken_for_pattern(path):
        file_system.rm(path, recursive=True)  # of a store, a thousand objects a request
        return
    if not file_system.isdir(path):
        file_system.rm_file(path)
        return
    for entry in file_system.ls(path, detail=False):
        if entry.rstrip("/") != path:
            _remove_on_server(file_system, entry.rstrip("/"))
    file_system.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):  # a store has no folders of their own
        file_system.rmdir(path)

"""Moving files over others on one file system, and flushing what is to outlive a power cut.

In: paths. Out: moved files; one that has been moved already is no error, since another process may be at the
same replacement. Called by ``working`` and ``verifying``.
"""

from __future__ import annotations

import os
import shutil

from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location, protocols_of
from img2dataset.storage.renaming import replace_file
from img2dataset.storage.schemes import move_onto_files


def move(location: Location, source: str, target: str) -> None:
    """Put a file in place of whatever stands there: on the local disk in one step.

    So it is over SFTP. Other servers do not rename onto a file: it is removed first, so there is a moment
    without it.

    Raises:
        Exception: it cannot be moved; every file system has its own errors.
    """
    if not location.is_local:
        _move_on_server(location, source, target)
        return
    try:
        os.replace(source, target)
    except IsADirectoryError:
        shutil.rmtree(target)
        replace_file(source, target)
    except FileNotFoundError:
        if not os.path.lexists(target):
            raise


def make_folder(location: Location, path: str) -> None:
    """Make a folder, in place of a file if one stands there.

    Raises:
        Exception: it cannot be made; every file system has its own errors.
    """
    if not location.is_local:
        location.tried(lambda: location.file_system.makedirs(path, exist_ok=True))
        return
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        os.unlink(path)
        os.mkdir(path)


def flush_to_disk(path: str) -> None:
    """Wait until a local file's contents, or a local folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_names(location: Location, folder: str) -> None:
    """Wait until the names in a folder are on the disk, where there is something for it."""
    if location.is_local:
        flush_to_disk(folder)


def replace_on_server(location: Location, source: str, target: str) -> None:
    """Put a file in place of whatever stands there, where the location is not local.

    Raises:
        Exception: it cannot be moved; every file system has its own errors.
    """
    if move_onto_files(protocols_of(location.file_system)):
        try:
            location.file_system.mv(source, target)
            return
        except FileNotFoundError:
            raise
        except OSError:  # a folder stands there, or the server cannot do it
            pass
    remove(location, target)
    location.file_system.mv(source, target)


def _move_on_server(location: Location, source: str, target: str) -> None:
    location.file_system.invalidate_cache()
    if not location.file_system.exists(source):
        return
    try:
        replace_on_server(location, source, target)
    except FileNotFoundError:
        # Another process, which is at the same replacement, was faster.
        if not location.file_system.exists(target):
            raise

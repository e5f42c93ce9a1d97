"""A path as users write it → the file system it is on, the path there, and what that file system promises.

In: any fsspec path. Out: a ``Location``, or one clear error. Called by every room that reads or writes files:
the one place that asks fsspec which file system a path is on.
"""

from __future__ import annotations

import difflib
import functools
import glob
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from img2dataset.errors import Img2datasetError, MissingDependency, one_line
from img2dataset.storage.patience import Patience
from img2dataset.storage.renaming import looked_again
from img2dataset.storage.retries import Result, with_retries
from img2dataset.storage.schemes import (
    are_of_stores,
    schemes_of,
    show_partial_files,
    take_one_at_a_time,
    way_to_install,
)


@dataclass(frozen=True)
class Location:
    """A path on some file system; ``path`` without its protocol, ``name`` as it was given."""

    file_system: Any  # fsspec.AbstractFileSystem
    path: str
    name: str
    # How long it is waited for when it is away; None: five tries.
    patience: Patience | None = field(default=None, compare=False)

    @property
    def is_local(self) -> bool:
        return "file" in protocols_of(self.file_system)

    @property
    def has_buckets(self) -> bool:
        """Whether it is a store whose folders need not be made, and whose buckets are not ours to make."""
        return are_of_stores(protocols_of(self.file_system))

    @property
    def shows_partial_files(self) -> bool:
        return show_partial_files(protocols_of(self.file_system))

    @property
    def takes_one_at_a_time(self) -> bool:
        """Whether no two threads may use the file system at once."""
        return take_one_at_a_time(protocols_of(self.file_system))

    def for_this_thread(self) -> Location:
        """The same place, over a connection of its own where no two threads may share one."""
        if not self.takes_one_at_a_time:
            return self
        storage = self.file_system
        options = {**storage.storage_options, "skip_instance_cache": True}
        return replace(self, file_system=type(storage)(*storage.storage_args, **options))

    def tried(self, operation: Callable[[], Result]) -> Result:
        """What an operation on the file system returns: a store is asked again where it may help.

        For as long as ``patience`` says, where there is one.

        Raises:
            Exception: whatever the operation raised, the last time.
        """
        if self.is_local:
            return looked_again(operation)
        return with_retries(operation) if self.patience is None else self.patience.tried(operation)


def locate(path: str, option: str, error_class: type[Img2datasetError]) -> Location:
    """The file system and the path on it of an fsspec path.

    Args:
        path: as ``open_path`` takes it.
        option: what it was given as, for messages: ``output_folder``.
        error_class: of the error where it cannot be opened.

    Raises:
        MissingDependency: the package of its file system is not installed.
        Img2datasetError: ``error_class``; the scheme is unknown, or its file system cannot be set up.
    """
    try:
        file_system, path_on_it = open_path(path)
    except ImportError as error:
        raise missing_package(path, option, error) from error
    except ValueError as error:
        known = _known_protocols()
        if unknown := [scheme for scheme in schemes_of(path) if scheme not in known]:
            raise error_class(
                f"{option} {path!r}: no file system is known for {unknown[0]}://; give a local path, or one"
                f" that begins with {_nearest(unknown[0], known)}"
            ) from error
        raise error_class(f"{option} {path!r} cannot be opened: {one_line(error)}") from error
    except Exception as error:  # every file system has its own errors
        raise error_class(f"{option} {path!r} cannot be opened: {one_line(error)}") from error
    return Location(file_system, path_on_it.rstrip("/") or path_on_it, path)


def missing_package(path: str, option: str, error: ImportError) -> MissingDependency:
    """The error that says which package a path needs and how to install it."""
    schemes = schemes_of(path)
    return MissingDependency(
        f"{option} {path!r}: the package for {schemes[-1]}:// is not installed:"
        f" {way_to_install(schemes, error)}"
    )


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

    _begin_anew_in_forks()
    if "::" in path and not _is_chain(path):
        return fsspec.filesystem("file"), os.path.abspath(path)
    file_system, path_on_it = fsspec.core.url_to_fs(path)
    return file_system, path_on_it


@functools.cache
def _begin_anew_in_forks() -> None:
    """Have forked processes open connections of their own; older releases of fsspec do not do so themselves.

    A worker of a DataLoader would wait for ever for the thread that fsspec has in the process it came from.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_thread)


def _forget_thread() -> None:
    asyn = sys.modules.get("fsspec.asyn")
    if asyn is not None:
        asyn.reset_lock()


def is_taken_for_pattern(path: str) -> bool:
    """Whether fsspec takes a path for a pattern in ``rm`` and ``cat``, which know no way to say a name."""
    return glob.has_magic(path)


def protocols_of(file_system: Any) -> set[str]:
    """The names of a file system's scheme."""
    protocol = file_system.protocol
    return {protocol} if isinstance(protocol, str) else set(protocol)


def _known_protocols() -> set[str]:
    import fsspec

    return set(fsspec.available_protocols())


def _nearest(scheme: str, known: set[str]) -> str:
    """The known schemes that look like this one; else those of the stores that most people use."""
    like = difflib.get_close_matches(scheme, sorted(known), cutoff=0.7)
    *others, last = [f"{name}://" for name in like or ("s3", "gs", "az", "hf", "https")]
    return f"{', '.join(others)} or {last}" if others else last


def _is_chain(path: str) -> bool:
    """Whether every link but the last names a file system: ``simplecache::s3://bucket/name``."""
    known = _known_protocols()
    links = path.split("::")[:-1]
    return all(link.partition("://")[0] in known for link in links)

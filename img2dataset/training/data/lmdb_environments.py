"""LMDB databases that this process has open for reading: one environment each, shared by all who read it.

In: a path. Out: its environment. Called by ``lmdb_list``. An environment must not be used in a forked child
of the process that opened it, and lmdb 3 refuses to open a database twice in one process; it counts one that
a child has inherited as open there. So a child closes what it inherited, which its parent does not notice,
and opens it anew.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from img2dataset.errors import InputError
from img2dataset.training.requirements import require

logger = logging.getLogger("img2dataset")

# Not held by this table: a database is closed when nobody reads it any more.
_open: WeakValueDictionary[str, Any] = WeakValueDictionary()
_lock = Lock()
_process_id = os.getpid()


def environment_of(path: Path) -> Any:
    """The environment of a database, read-only: an ``lmdb.Environment`` of this process.

    Raises:
        InputError: it cannot be opened.
        MissingDependency: lmdb is not installed.
    """
    global _process_id
    lmdb = require("lmdb", "a list in an LMDB database", extra="lmdb")
    with _lock:
        if _process_id != os.getpid():
            for inherited in _open.values():
                inherited.close()
            _open.clear()
            _process_id = os.getpid()
        # A database in a folder has two names.
        name = os.path.realpath(path / "data.mdb" if path.is_dir() else path)
        environment = _open.get(name)
        if environment is None:
            try:
                environment = lmdb.open(name, subdir=False, readonly=True, lock=False, readahead=False)
            except lmdb.Error as error:
                raise InputError(f"{str(path)!r} cannot be opened as an LMDB database: {error}") from error
            _tell_if_cut_short(environment, path, name)
            _open[name] = environment
        return environment


def _tell_if_cut_short(environment: Any, path: Path, name: str) -> None:
    """The kernel ends a process that reads what a mapped file does not have; so it is said before."""
    # Only said: pages at the end that were never used may be missing from a whole database.
    wanted = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    size = os.stat(name).st_size
    if size < wanted:
        logger.warning(
            "the LMDB database %r has %d bytes of %d: it is cut short, and a process that reads what is"
            " missing is killed by SIGBUS; copy it again",
            str(path),
            size,
            wanted,
        )


def _free_lock() -> None:
    """Another thread may have held the lock at the moment of the fork."""
    global _lock
    _lock = Lock()


os.register_at_fork(after_in_child=_free_lock)

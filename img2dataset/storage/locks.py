"""Locks that are files: among the threads of a process, processes, and machines on a shared file system.

A path comes in; who holds its lock is alone. The operating system's ``flock`` ends with the process that
holds it, so a killed process blocks nobody. Called by ``cache``. The package filelock was considered: from
its version 4 it removes lock files unless told otherwise with an argument that version 3 refuses, and it does
no more for us than these lines.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator

POLL_S = 0.01

_claims: dict[str, threading.Lock] = {}
_claims_lock = threading.Lock()  # guards _claims


class LockBusy(TimeoutError):
    """Another thread, process or machine holds the lock."""


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], wait_s: float | None = None) -> Iterator[None]:
    """Hold the lock ``path``.

    Args:
        path: of the lock's file, which is made if need be and stays: if it were removed while somebody opens
            it, there would be two locks.
        wait_s: seconds to wait for it; 0: not at all; None: until it is free.

    Raises:
        LockBusy: it did not become free in time.
        OSError: the file cannot be made, or the file system has no locks.
    """
    name = os.fspath(path)
    deadline = None if wait_s is None else time.monotonic() + wait_s
    with _claims_lock:
        claim = _claims.setdefault(name, threading.Lock())
    # The threads of one process queue here, so that only one of them waits for the file.
    if not claim.acquire(timeout=-1 if wait_s is None else wait_s):
        raise LockBusy(name)
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor, name, deadline)
            yield
        finally:
            # Unlocked, not only closed: a process forked in the meantime has the file open too.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
    finally:
        claim.release()


def _lock(descriptor: int, name: str, deadline: float | None) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
        if deadline is not None and time.monotonic() >= deadline:
            raise LockBusy(name)
        time.sleep(POLL_S)


def _forget_claims() -> None:
    # A fork may happen while a thread holds a claim; that thread does not exist in the child.
    global _claims_lock
    _claims_lock = threading.Lock()
    _claims.clear()


os.register_at_fork(after_in_child=_forget_claims)

"""Locks among threads, processes and machines: of a file with a name, of a folder, of a byte of an open file.

In: a path, or an open file and an offset in it. Out: being alone. The operating system's locks end with the
process that holds them, so a killed process blocks nobody. Called by ``working`` (replacing a shard,
large images), ``training`` (the cache) and ``fetching`` (slots and paces of hosts, files of sites).

Two kinds of the system's locks, because of what they belong to. ``flock`` belongs to an opened file: threads
that open it by its name exclude each other, and machines on a shared file system. ``lockf`` belongs to a
process, and locks bytes: for files without a name that processes have inherited open, which are one opened
file.

The package filelock was considered: from its version 4 it removes lock files unless told otherwise with an
argument that version 3 refuses, and it does no more for us than these lines.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

POLL_S = 0.01
# The file that is locked in a folder that ``alone_in`` has made.
LOCK_NAME = "lock"

_BUSY = (errno.EWOULDBLOCK, errno.EACCES)  # POSIX leaves open which of the two lockf gives
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
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
        descriptor = _open(name)
        try:
            _take(partial(fcntl.flock, descriptor), name, deadline)
            yield
        finally:
            _give_back(descriptor)
            os.close(descriptor)
    finally:
        claim.release()


@contextlib.contextmanager
def alone_in(folder: str, wait_s: float) -> Iterator[bool]:
    """Make a folder and be alone with it; it goes at the end, unless something is left in it.

    Yields whether that is so: where the file system has no locks, nobody is kept out, and the folder stays.

    Args:
        folder: its parent is there or is made.
        wait_s: seconds to wait for others to leave.

    Raises:
        LockBusy: they did not leave in time.
        OSError: the folder cannot be made.
    """
    path = os.path.join(folder, LOCK_NAME)
    descriptor, is_locked = _locked_in(folder, path, time.monotonic() + wait_s)
    try:
        yield is_locked
    finally:
        if is_locked:
            with contextlib.suppress(OSError):  # not empty
                os.unlink(path)
                os.rmdir(folder)
            _give_back(descriptor)
        os.close(descriptor)


def take_byte(descriptor: int, offset: int, wait_s: float | None = None) -> None:
    """Lock a byte of an open file for this process, whose threads all have it then.

    Args:
        descriptor: of the file, open for writing. Closing any other of the same file gives the lock back.
        offset: of the byte, which need not exist.
        wait_s: as for ``locked``.

    Raises:
        LockBusy: another process did not give it back in time.
        OSError: the file system has no locks.
    """
    if wait_s is None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, offset)
    else:
        lock = partial(_lock_byte, descriptor, offset)
        _take(lock, f"byte {offset}", time.monotonic() + wait_s)


def give_byte_back(descriptor: int, offset: int) -> None:
    """Unlock a byte that ``take_byte`` has locked."""
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, offset)


def _lock_byte(descriptor: int, offset: int, operation: int) -> None:
    fcntl.lockf(descriptor, operation, 1, offset)


def _take(lock: Callable[[int], object], name: str, deadline: float | None) -> None:
    while True:
        try:
            lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _BUSY:
                raise
        if deadline is not None and time.monotonic() >= deadline:
            raise LockBusy(name)
        time.sleep(POLL_S)


def _give_back(descriptor: int) -> None:
    # Unlocked, not only closed: a process forked in the meantime has the file open too.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _locked_in(folder: str, path: str, deadline: float) -> tuple[int, bool]:
    """The open lock file, and whether it could be locked (False: there are no locks here)."""
    while True:
        try:
            os.makedirs(folder, exist_ok=True)
            descriptor = _open(path)
        except FileNotFoundError:
            continue  # the last one has just removed the folder
        except FileExistsError:
            if _is_no_folder(folder):
                raise
            continue  # it did so between makedirs' own two looks
        try:
            _take(partial(fcntl.flock, descriptor), path, deadline)
            if _is_still(path, descriptor):
                return descriptor, True
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                return descriptor, False
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_no_folder(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _is_still(path: str, descriptor: int) -> bool:
    """Whether the locked file is the one that others find: who had it before has removed it at the end."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _forget_claims() -> None:
    # A fork may happen while a thread holds a claim; that thread does not exist in the child.
    global _claims_lock
    _claims_lock = threading.Lock()
    _claims.clear()


os.register_at_fork(after_in_child=_forget_claims)

"""Large images are decoded one after another in all the worker processes of a run. Called by the worker.

Two that come at once would take twice the memory of one. The lock is a record lock on the file that the
workers inherit from the program (``fetching.shared_paces``), far behind what is written there; a process that
dies gives it back.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from img2dataset.fetching.hosts import shared_paces

_PLACE = 1 << 40
_WAIT_S = 0.02
# A process that was stopped keeps its lock: others go on without it then, rather than never.
LONGEST_WAIT_S = 120.0


def decoding_turn() -> Callable[[], AbstractContextManager[None]] | None:
    """What to hold while a large image is decoded; None where this process has no others beside it."""
    with suppress(KeyError, ValueError, OSError):
        descriptor = int(os.environ[shared_paces.VARIABLE])
        os.fstat(descriptor)
        return lambda: _turn(descriptor)
    return None


@contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    has_it = _waited(descriptor)
    try:
        yield
    finally:
        if has_it:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _PLACE)


def _waited(descriptor: int) -> bool:
    end = time.monotonic() + LONGEST_WAIT_S
    try:
        while not _got(descriptor):
            if time.monotonic() > end:
                return False
            time.sleep(_WAIT_S)
    except OSError:  # a file system without locks: nobody will ever have it
        return False
    return True


def _got(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _PLACE)
    except (BlockingIOError, PermissionError):  # POSIX leaves open which of the two
        return False
    return True

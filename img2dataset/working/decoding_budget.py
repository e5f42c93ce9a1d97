"""Large images are decoded one after another in all the worker processes of a run. Called by the worker.

Two that come at once would take twice the memory of one. The lock is of a byte of the file that the workers
inherit from the program (``fetching.hosts.sharing``), far behind what is written there; a process that
dies gives it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from img2dataset.fetching.hosts.sharing import inherited_file
from img2dataset.storage.locks import give_byte_back, take_byte

_LOCKED_BYTE = 1 << 40
# A process that was stopped keeps its lock: others go on without it then, rather than never.
LONGEST_WAIT_S = 120.0


def decoding_turn() -> Callable[[], AbstractContextManager[None]] | None:
    """What to hold while a large image is decoded; None where this process has no others beside it."""
    descriptor = inherited_file()
    return None if descriptor is None else lambda: _turn(descriptor)


@contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    has_it = _waited(descriptor)
    try:
        yield
    finally:
        if has_it:
            give_byte_back(descriptor, _LOCKED_BYTE)


def _waited(descriptor: int) -> bool:
    try:
        take_byte(descriptor, _LOCKED_BYTE, LONGEST_WAIT_S)
    except OSError:  # another keeps it; or a file system without locks: nobody will ever have it
        return False
    return True

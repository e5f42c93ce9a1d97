"""Slots of a host that the processes of a machine take in turn. Called by ``slots``.

Normally each process of a run has its share of the connections to a host, and no need to talk to the others.
If there are more processes than connections a share would be none, so those few connections are taken by
record locks on one file: a lock costs two system calls, and the kernel frees it when its process dies.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import zlib

from img2dataset.storage.locks import give_byte_back, take_byte

# How long a process that found no slot waits before it looks again, and one that had a slot lets the others
# look first.
LOOK_AGAIN_S = 0.05
# Bytes of the file for each host: more than there are processes on a machine.
_STRIDE = 4096


class MachineSlots:
    """The slots this process holds; the file is opened when the first one is wanted."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or os.path.join(tempfile.gettempdir(), f"img2dataset-hosts-{os.getuid()}.lock")
        self._descriptor: int | None = None
        self._held: dict[str, int] = {}

    def acquire(self, host: str, bound: int) -> bool:
        """Take one of the ``bound`` slots of ``host``, if one is free, for this process."""
        if self._descriptor is None:
            self._descriptor = self._open()
        start = zlib.crc32(host.encode()) * _STRIDE
        for place in range(start, start + min(bound, _STRIDE)):
            with contextlib.suppress(OSError):
                take_byte(self._descriptor, place, wait_s=0)
                self._held[host] = place
                return True
        return False

    def release(self, host: str) -> None:
        """Give the slot of ``host`` back."""
        place = self._held.pop(host, None)
        if place is not None and self._descriptor is not None:
            give_byte_back(self._descriptor, place)

    def close(self) -> None:
        """Give everything back."""
        self._held.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        # The folder is everybody's: no link is followed, and a file that is another user's is not used.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o600)
            if os.fstat(descriptor).st_uid == os.getuid():
                return descriptor
            os.close(descriptor)
            reason = "it is another user's"
        except OSError as error:
            reason = str(error.strerror)
        logging.getLogger(__name__).warning(
            "the processes of this run cannot share connections through %s (%s): "
            "each may use one connection to a host",
            self._path,
            reason,
        )
        with tempfile.TemporaryFile() as own:
            return os.dup(own.fileno())

"""What the processes of a run share of a host: its pace once it has pushed back, and its few connections.

Called by ``slots``. A host limits a client, not its processes. Where each of them learned its own pace, one
touched the limit that the other was about to keep, and 400 rows of a host of ten a second took 290 s in two
processes. So once a host has pushed back, its ``HostPace`` lives in one file: each change is made under a
record lock on what the others have left there. Clocks agree, since the monotonic clock is the machine's.
The few hosts that push back pay for it, some 30 µs a request; the others 5 µs, and 2 as long as none has
pushed back.

The program makes the file, which has no name, and its workers inherit it: nothing is left behind, whatever
ends them, and no other run can touch it.

Of connections each process has its share, and no need to talk to the others. If there are more processes than
connections a share would be none, so those few connections are taken by record locks on one file of the
machine (``MachineSlots``): a lock costs two system calls, and the kernel frees it when its process dies.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO, TypeVar, cast

from img2dataset.failures import HOST_UNREACHABLE, Failure, of_text
from img2dataset.fetching.hosts.pace import SHARED_FIELDS, HostPace
from img2dataset.storage.inherited import inherited_descriptor, make_nameless_file
from img2dataset.storage.locks import give_byte_back, take_byte

# The number of the file's descriptor, in the environment of a worker.
VARIABLE = "IMG2DATASET_HOST_PACES"
# Room for 8192 hosts that have pushed back, 1.4 MB; beyond it, of eight the one longest unused is forgotten.
_BUCKETS, _RECORDS_A_BUCKET = 1024, 8
_MARK_BYTES = 8
# The mark of the host, when it was last used, its state, and what its rows fail with while it is closed.
_RECORD = struct.Struct(f"={_MARK_BYTES}sd{len(SHARED_FIELDS)}d48s")
_BUCKET_BYTES = _RECORD.size * _RECORDS_A_BUCKET

# Bytes of the machine's file for each host: more than there are processes on a machine.
_HOST_BYTES = 4096

Result = TypeVar("Result")


def make_shared_file() -> BinaryIO | None:
    """The file for one run; None, and a warning, where there is no room for it."""
    return make_nameless_file(
        "paces", "what they learn about hosts", "each keeps the rate of a host that answers 429 for itself"
    )


def inherited_file() -> int | None:
    """The descriptor of the file of the run whose worker this process is; None if it is none's."""
    return inherited_descriptor(VARIABLE)


class SharedPaces:
    """What this process and the others know of hosts that have pushed back.

    Args:
        descriptor: of the file, open to read and write.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of_run(cls) -> SharedPaces | None:
        """Those of the run whose worker this process is; None if it is none's."""
        descriptor = inherited_file()
        return None if descriptor is None else cls(descriptor)

    def knows(self, host: str) -> bool:
        """Whether ``host`` has pushed back, whichever process it was."""
        if not os.fstat(self._descriptor).st_size:
            return False
        mark, offset = _bucket_of(host)
        bucket = os.pread(self._descriptor, _BUCKET_BYTES, offset)
        found = bucket.find(mark)
        while found > 0 and found % _RECORD.size:
            found = bucket.find(mark, found + 1)
        return found >= 0

    def change(self, host: str, pace: HostPace, now: float, act: Callable[[], Result]) -> Result:
        """Let ``act`` change the pace of ``host`` while no other process does.

        Args:
            host: its name.
            pace: of this process; becomes what the processes have left, before ``act`` is called.
            now: the present.
            act: reads and changes ``pace``.
        """
        mark, offset = _bucket_of(host)
        take_byte(self._descriptor, offset)
        try:
            bucket = self._read(offset)
            records = list(_RECORD.iter_unpack(bucket))
            index = next((n for n, record in enumerate(records) if record[0] == mark), None)
            if index is None:
                index = min(range(len(records)), key=lambda n: cast(float, records[n][1]))
            else:
                _, _, *numbers, reason = records[index]
                pace.take_over(numbers, _closed_reason(reason), now)
            pace.is_shared = True
            result = act()
            self._write(offset + index * _RECORD.size, mark, now, pace)
            return result
        finally:
            give_byte_back(self._descriptor, offset)

    def _read(self, offset: int) -> bytes:
        return os.pread(self._descriptor, _BUCKET_BYTES, offset).ljust(_BUCKET_BYTES, b"\0")

    def _write(self, offset: int, mark: bytes, now: float, pace: HostPace) -> None:
        numbers = (math.nan if value is None else value for value in pace.shared_state())
        record = _RECORD.pack(mark, now, *numbers, pace.closed_reason.encode("ascii", "replace"))
        # A full disk: this process goes on with what it knows.
        with suppress(OSError):
            os.pwrite(self._descriptor, record, offset)


@lru_cache(maxsize=1024)
def _bucket_of(host: str) -> tuple[bytes, int]:
    mark = hashlib.blake2b(host.encode(), digest_size=_MARK_BYTES).digest()
    return mark, int.from_bytes(mark[:4], "little") % _BUCKETS * _BUCKET_BYTES


def _closed_reason(record: bytes) -> Failure:
    try:
        return of_text(record.rstrip(b"\0").decode("ascii", "replace"))
    except KeyError:
        return HOST_UNREACHABLE


class MachineSlots:
    """The slots this process holds; the file is opened when the first one is wanted."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or os.path.join(tempfile.gettempdir(), f"img2dataset-hosts-{os.getuid()}.lock")
        self._descriptor: int | None = None
        self._held: dict[str, int] = {}

    def acquire(self, host: str, slots: Sequence[int]) -> bool:
        """Take one of these slots of ``host``, if one is free, for this process.

        Members of a run that are on one machine are given different ones, so that none is kept from its own.
        """
        if self._descriptor is None:
            self._descriptor = self._open()
        start = zlib.crc32(host.encode()) * _HOST_BYTES
        for slot in slots:
            with suppress(OSError):
                take_byte(self._descriptor, start + slot % _HOST_BYTES, wait_s=0)
                self._held[host] = start + slot % _HOST_BYTES
                return True
        return False

    def holds(self, host: str, slots: Sequence[int]) -> bool:
        """Whether this process has one of these slots of ``host``."""
        start = zlib.crc32(host.encode()) * _HOST_BYTES
        return self._held.get(host) in {start + slot % _HOST_BYTES for slot in slots}

    def release(self, host: str) -> None:
        """Give the slot of ``host`` back."""
        offset = self._held.pop(host, None)
        if offset is not None and self._descriptor is not None:
            give_byte_back(self._descriptor, offset)

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

"""What the processes of a run share of the files of sites: each is asked for by one of them.

Called by ``site_files``. One file without a name, which the workers of a run inherit (``storage.inherited``):
answers are added to its end, and each process reads on from where it was. Who asks for a file holds a record
lock on a byte that stands for it, and the others look again and again whether its answer has come. The kernel
frees the lock when its process dies: another asks then. No call here waits for another process, since all are
made by the loop of the downloads.

A site costs a process some ten microseconds and a hundred bytes. The file is bounded: when it is full it is
begun anew, and what is asked for once more are sites that no process has kept itself.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import deque
from contextlib import suppress
from typing import BinaryIO

from img2dataset.fetching.consent.answers import SiteAnswer, length_and_uri, of_entry
from img2dataset.storage.inherited import inherited_descriptor, make_nameless_file
from img2dataset.storage.locks import LockBusy, give_byte_back, take_byte

# The number of the file's descriptor, in the environment of a worker.
VARIABLE = "IMG2DATASET_SITE_FILES"
MOST_BYTES = 32 << 20
MOST_ENTRIES = 131_072
# Of a process that another has kept from writing for that long, because it is stopped.
MOST_UNWRITTEN = 100
# How often the file was begun anew, where its entries end, and how many there are.
_STATE = struct.Struct("<QQQ")
_CHUNK_BYTES = 1 << 20
# The byte that is locked to write, and the first of those that stand for files of sites, far beyond the end.
_WRITING = 0
_CLAIMS, _CLAIM_BITS = 1 << 60, 48


def make_shared_file() -> BinaryIO | None:
    """The file for one run; None, and a warning, where there is no room for it."""
    return make_nameless_file(
        "sites",
        "the robots.txt and tdmrep.json of sites",
        "each asks for them, and so does the next run",
    )


class SharedFiles:
    """What this process and the others have been told by sites.

    Args:
        descriptor: of the file, open to read and write.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._generation = 0
        self._position = _STATE.size
        self._offsets: dict[int, int] = {}
        # Entries that another process has kept from being written, and their files.
        self._unwritten: deque[tuple[str, bytes]] = deque()
        self.catch_up()

    @classmethod
    def of_run(cls) -> SharedFiles | None:
        """Those of the run whose worker this process is; None if it is none's."""
        descriptor = inherited_descriptor(VARIABLE)
        return None if descriptor is None else cls(descriptor)

    @property
    def has_unwritten(self) -> bool:
        """Whether ``flush`` has something to do."""
        return bool(self._unwritten)

    def catch_up(self) -> list[bytes]:
        """Read what has been added since the last time; the entries."""
        found: list[bytes] = []
        generation, end, _ = self._state()
        if generation != self._generation:
            self._offsets.clear()
            self._generation, self._position = generation, _STATE.size
        while self._position < end:
            wanted = min(_CHUNK_BYTES, end - self._position)
            chunk = os.pread(self._descriptor, wanted, self._position)
            start = 0
            while (entry := length_and_uri(chunk, start)) is not None and start + entry[0] <= len(chunk):
                length, file_uri = entry
                self._offsets[_mark_of(file_uri)] = self._position + start
                found.append(chunk[start : start + length])
                start += length
            # None at all: the file was begun anew meanwhile, and this is the middle of another entry.
            self._position = self._position + start if start else end
        return found

    def knows(self, file_uri: str) -> bool:
        """Whether the answer of a file has come, as far as ``catch_up`` has read."""
        return _mark_of(file_uri) in self._offsets

    def find(self, file_uri: str) -> SiteAnswer | None:
        """The answer of a file; None: there is none yet."""
        offset = self._offsets.get(_mark_of(file_uri))
        if offset is None:
            return None
        entry = os.pread(self._descriptor, 4096, offset)
        head = length_and_uri(entry, 0)
        if head is not None and head[0] > len(entry):
            entry = os.pread(self._descriptor, min(head[0], _CHUNK_BYTES), offset)
        found = of_entry(entry)
        return found[1] if found is not None and found[0] == file_uri else None

    def claim(self, file_uri: str) -> bool:
        """Be the one that asks for a file; False: another process is. Where there are no locks, each is."""
        try:
            take_byte(self._descriptor, _claim_of(file_uri), wait_s=0)
        except LockBusy:
            return False
        except OSError:
            return True
        return True

    def release(self, file_uri: str) -> None:
        """Ask for a file no more."""
        with suppress(OSError):
            give_byte_back(self._descriptor, _claim_of(file_uri))

    def put(self, file_uri: str, entry: bytes) -> None:
        """Tell the others what a file has brought, now or with ``flush``; its claim is released then."""
        self._unwritten.append((file_uri, entry))
        self.flush()
        while len(self._unwritten) > MOST_UNWRITTEN:
            self.release(self._unwritten.popleft()[0])

    def flush(self) -> None:
        """Write what could not be written, if no other process writes now."""
        while self._unwritten:
            file_uri, entry = self._unwritten[0]
            try:
                self._add(entry)
            except LockBusy:
                return
            except OSError:
                pass  # a full disk: each process goes on with what it knows
            self._unwritten.popleft()
            self.release(file_uri)

    def _add(self, entry: bytes) -> None:
        take_byte(self._descriptor, _WRITING, wait_s=0)
        try:
            generation, end, count = self._state()
            if end + len(entry) > MOST_BYTES or count >= MOST_ENTRIES:
                generation, end, count = generation + 1, _STATE.size, 0
            os.pwrite(self._descriptor, entry, end)
            # Last, so that a process that is killed in between has added nothing.
            os.pwrite(self._descriptor, _STATE.pack(generation, end + len(entry), count + 1), 0)
        finally:
            give_byte_back(self._descriptor, _WRITING)

    def _state(self) -> tuple[int, int, int]:
        state = os.pread(self._descriptor, _STATE.size, 0)
        generation, end, count = _STATE.unpack(state.ljust(_STATE.size, b"\0"))
        return generation, max(end, _STATE.size), count


def _mark_of(file_uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(file_uri.encode(), digest_size=8).digest(), "little")


def _claim_of(file_uri: str) -> int:
    return _CLAIMS + (_mark_of(file_uri) & ((1 << _CLAIM_BITS) - 1))

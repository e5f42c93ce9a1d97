"""Hashes in any order and number → which others are among them, in a bounded memory. Called by ``KnownUrls``.

They are written to disk by their first bits; one such part at a time is read back, sorted and written
behind the one before it. So all of them stand in one sorted file, and a look-up reads the page that a hash
would be on. It is read, not mapped into memory: with 4·10^8 hashes the kernel mapped up to 1 MB around each
page touched, and the process grew by 800 MB.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.bytes_]

HASH_BYTES = 16
# NumPy sorts and searches such texts as bytes, from the first to the last.
DTYPE = f"S{HASH_BYTES}"
# 8 MiB of hashes, about 30 MiB while they are sorted; a part then gets 8 KiB at a time.
BUFFERED_HASHES = 1 << 19
# By the first ten bits. A part of 10^9 holds 10^6 hashes, 16 MB, and twice that while it is sorted.
PARTS = 1 << 10
# 8 KiB. The first hash of each page is kept in memory: 31 MB for 10^9 hashes.
PAGE_HASHES = 512
# Pages held at once: 4 MiB.
LOOKUPS_AT_ONCE = 512


def url_hashes(urls: Iterable[bytes]) -> Hashes:
    """The first 128 bits of BLAKE2b of each URL (RFC 7693).

    A hash that nobody can make collide, since lists are untrusted: 0.5 µs a URL, which no vectorised
    hash of such strength undercuts by much.
    """
    joined = b"".join([blake2b(url, digest_size=HASH_BYTES).digest() for url in urls])
    return np.frombuffer(joined, DTYPE)


class SortedHashes:
    """A set of hashes on disk: ``add`` to it, then ``sort`` it once, then ask what it ``contains``.

    Args:
        folder: for its files alone. They lose their names when they are sorted, so that nothing is left
            behind then, not even by a process that is killed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._buffer: list[Hashes] = []
        self._buffered = 0
        self._on_disk = False
        self._count = 0
        self._page_firsts = np.empty(0, DTYPE)
        self._file = -1

    def __len__(self) -> int:
        """How many different hashes there are; 0 before they are sorted."""
        return self._count

    def add(self, hashes: Hashes) -> None:
        """Take in hashes, in any order. Raises OSError if the disk fails."""
        self._buffer.append(hashes)
        self._buffered += len(hashes)
        if self._buffered >= BUFFERED_HASHES:
            self._write_parts()

    def sort(self) -> None:
        """Put all hashes in order, each once; nothing is added afterwards. OSError if the disk fails."""
        path = os.path.join(self._folder, "sorted")
        # Grown in one piece: small arrays kept between the parts pin 80 MB of freed memory.
        page_firsts = bytearray()
        with open(path, "wb") as file:
            for part in self._sorted_parts():
                file.write(part.data)
                page_firsts += part[-self._count % PAGE_HASHES :: PAGE_HASHES].tobytes()
                self._count += len(part)
        self._page_firsts = np.frombuffer(page_firsts, DTYPE)
        self._file = os.open(path, os.O_RDONLY)
        os.unlink(path)

    def contains(self, hashes: Hashes) -> NDArray[np.bool_]:
        """One truth a hash. Raises OSError if the disk fails."""
        found = np.zeros(len(hashes), np.bool_)
        # In rising order: a disk is read in one direction, and what lies on one page is looked up together.
        order = np.argsort(hashes)
        for start in range(0, len(order) if self._count else 0, LOOKUPS_AT_ONCE):
            at_once = order[start : start + LOOKUPS_AT_ONCE]
            wanted = hashes[at_once]
            pages = np.searchsorted(self._page_firsts, wanted, side="right") - 1
            # Pages in rising order are sorted as one.
            read = self._read(np.unique(np.maximum(pages, 0)).tolist())
            positions = np.minimum(np.searchsorted(read, wanted), len(read) - 1)
            found[at_once] = read[positions] == wanted
        return found

    def close(self) -> None:
        """Give the disk back; idempotent."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _read(self, pages: list[int]) -> Hashes:
        size = PAGE_HASHES * HASH_BYTES
        content = b"".join([os.pread(self._file, size, page * size) for page in pages])
        expected = sum(min(PAGE_HASHES, self._count - page * PAGE_HASHES) for page in pages) * HASH_BYTES
        if len(content) != expected:
            raise OSError(f"{len(content)} bytes were read of {expected}")
        return np.frombuffer(content, DTYPE)

    def _sorted_parts(self) -> Iterator[Hashes]:
        """All hashes in rising order, each once, part by part. The files go as they are read."""
        if not self._on_disk:
            yield self._taken()
            return
        self._write_parts()
        for number in range(PARTS):
            path = self._path(number)
            if os.path.exists(path):
                hashes = np.fromfile(path, DTYPE)
                os.unlink(path)
                yield sorted_once(hashes)

    def _write_parts(self) -> None:
        self._on_disk = True
        # Sorted before it is parted: a URL that stands a million times in the output would otherwise
        # make one part a million hashes longer.
        hashes = self._taken()
        beginnings = [(number << 6).to_bytes(2, "big") for number in range(1, PARTS)]
        ends = [*np.searchsorted(hashes, np.array(beginnings, DTYPE)).tolist(), len(hashes)]
        start = 0
        for number, end in enumerate(ends):
            if end > start:
                with open(self._path(number), "ab") as part:
                    part.write(hashes[start:end].data)
            start = end

    def _taken(self) -> Hashes:
        hashes = np.concatenate([np.empty(0, DTYPE), *self._buffer])
        self._buffer, self._buffered = [], 0
        return sorted_once(hashes)

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:04}.hashes")


def sorted_once(hashes: Hashes) -> Hashes:
    """In rising order, equal ones once."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes

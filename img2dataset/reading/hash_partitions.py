"""Hashes in any order and number → the same hashes, sorted and once each, in a bounded memory.

They are laid down on disk by their first bits; then one partition at a time is read back and sorted.
Called by ``KnownUrls``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_BYTES = 16
# 8 MiB of hashes, about 30 MiB while they are sorted; a partition then gets 8 KiB at a time.
BUFFERED_HASHES = 1 << 19
# A partition of a set of 10^9 holds 10^6 hashes: sorting it takes 50 MB.
PARTITION_BITS = 10


def url_hashes(urls: Iterable[bytes]) -> NDArray[np.uint64]:
    """The first 128 bits of BLAKE2b of each URL (RFC 7693), as rows of two integers.

    A hash that nobody can make collide, since lists are untrusted: 0.5 µs a URL, which no vectorised
    hash of such strength undercuts by much.
    """
    joined = b"".join([blake2b(url, digest_size=HASH_BYTES).digest() for url in urls])
    return np.frombuffer(joined, "<u8").reshape(-1, 2)


class HashPartitions:
    """Hashes that are still being collected. ``folder`` is for its files alone."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._buffer: list[NDArray[np.uint64]] = []
        self._buffered = 0
        self._spilled = False

    def add(self, hashes: NDArray[np.uint64]) -> None:
        self._buffer.append(hashes)
        self._buffered += len(hashes)
        if self._buffered >= BUFFERED_HASHES:
            self._spill()

    def sorted_parts(self) -> Iterator[NDArray[np.uint64]]:
        """All hashes in rising order, each once, part by part. The files go as they are read."""
        if not self._spilled:
            yield self._taken()
            return
        self._spill()
        for number in range(1 << PARTITION_BITS):
            path = self._path(number)
            if os.path.exists(path):
                hashes = np.fromfile(path, "<u8").reshape(-1, 2)
                os.unlink(path)
                yield sorted_once(hashes)

    def _spill(self) -> None:
        self._spilled = True
        # Sorted before it is parted: a URL that stands a million times in the output would otherwise
        # make one partition a million hashes longer.
        hashes = self._taken()
        edges = np.arange(1, 1 << PARTITION_BITS, dtype=np.uint64) << np.uint64(64 - PARTITION_BITS)
        ends = np.searchsorted(hashes[:, 0], edges, side="left").tolist()
        start = 0
        for number, end in enumerate([*ends, len(hashes)]):
            if end > start:
                with open(self._path(number), "ab") as partition:
                    partition.write(hashes[start:end].data)
            start = end

    def _taken(self) -> NDArray[np.uint64]:
        hashes = np.concatenate([np.empty((0, 2), np.uint64), *self._buffer])
        self._buffer, self._buffered = [], 0
        return sorted_once(hashes)

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:04}.hashes")


def sorted_once(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sorted by the first, then the second integer of a hash; equal ones once."""
    # One integer sorts four times as fast as two and all but always decides.
    hashes = hashes[np.argsort(hashes[:, 0])]
    same_first = hashes[1:, 0] == hashes[:-1, 0]
    same_second = hashes[1:, 1] == hashes[:-1, 1]
    if bool((same_first & ~same_second).any()):
        hashes = hashes[np.lexsort((hashes[:, 1], hashes[:, 0]))]
        same_first = hashes[1:, 0] == hashes[:-1, 0]
        same_second = hashes[1:, 1] == hashes[:-1, 1]
    repeated = same_first & same_second
    if bool(repeated.any()):
        hashes = hashes[np.concatenate([[True], ~repeated])]
    return hashes

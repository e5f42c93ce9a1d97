"""A sorted set of hashes on disk: which of these are in it? Called by ``KnownUrls``.

Two files, mapped into memory: the first halves of all hashes, and the second halves in the same order,
which are looked at only where a first half is found. A hash that is not there costs one page of disk.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A page of first halves. The first of each is kept in memory: 16 MB for 10^9 hashes.
BLOCK = 512
# Each look-up maps up to 16 pages of a file in (Linux maps a page's neighbours with it), which then count as
# memory of this process. They are let go after so many: at most 32 MB a file.
LOOKUPS_HELD = 512


class SortedHashes:
    """Hashes given in rising order, each once, in parts.

    Args:
        folder: where the files are written. They lose their names as soon as they are mapped, so that
            nothing is left behind, not even by a process that is killed.
    """

    def __init__(self, folder: str, parts: Iterable[NDArray[np.uint64]]) -> None:
        first_path, second_path = (os.path.join(folder, f"{half}.sorted") for half in ("first", "second"))
        self._count = 0
        block_firsts = [np.empty(0, np.uint64)]
        with open(first_path, "wb") as first_file, open(second_path, "wb") as second_file:
            for part in parts:
                firsts = np.ascontiguousarray(part[:, 0])
                first_file.write(firsts.data)
                second_file.write(np.ascontiguousarray(part[:, 1]).data)
                block_firsts.append(firsts[-self._count % BLOCK :: BLOCK].copy())
                self._count += len(part)
        self._block_firsts = np.concatenate(block_firsts)
        self._maps = [_mapped(path) for path in (first_path, second_path)] if self._count else []
        os.unlink(first_path)
        os.unlink(second_path)

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Give the disk back."""
        for mapped in self._maps:
            mapped.close()
        self._maps, self._count = [], 0

    def contains(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """One truth a hash."""
        found = np.zeros(len(hashes), np.bool_)
        if not self._count:
            return found
        # In rising order, so that neighbours in the file are looked up one after the other.
        order = np.argsort(hashes[:, 0])
        for start in range(0, len(order), LOOKUPS_HELD):
            places = order[start : start + LOOKUPS_HELD]
            found[places] = self._found(hashes[places, 0], hashes[places, 1])
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)
        return found

    def _found(
        self, wanted_first: NDArray[np.uint64], wanted_second: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        firsts, seconds = (np.frombuffer(mapped, "<u8") for mapped in self._maps)
        last = self._count - 1
        # The block whose first hash is the last one below the wanted, then halving within that block.
        place = np.maximum(np.searchsorted(self._block_firsts, wanted_first, side="left") - 1, 0) * BLOCK
        step = BLOCK
        while step > 1:
            step //= 2
            further = np.minimum(place + step, last)
            place = np.where(firsts[further] < wanted_first, further, place)
        place += firsts[place] < wanted_first
        found = np.zeros(len(place), np.bool_)
        # Two hashes with one first half are rare (one pair in 37 sets of 10^9), but then both are looked at.
        looked_at = np.flatnonzero(place <= last)
        while len(looked_at):
            looked_at = looked_at[firsts[place[looked_at]] == wanted_first[looked_at]]
            found[looked_at] |= seconds[place[looked_at]] == wanted_second[looked_at]
            place[looked_at] += 1
            looked_at = looked_at[~found[looked_at] & (place[looked_at] <= last)]
        return found


def _mapped(path: str) -> mmap.mmap:
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # Hashes have no neighbours worth reading ahead.
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped

"""A sorted set of hashes on disk: which of these are in it? Called by ``KnownUrls``.

One file, of which a look-up reads one page. It is read, not mapped into memory: with 4·10^8 hashes the
kernel mapped up to 1 MB around each page touched, and the process grew by 800 MB.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from img2dataset.reading.hash_partitions import HASH_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A page of 4 KiB. The first half of its first hash is kept in memory: 31 MB for 10^9 hashes.
PAGE_HASHES = 256
# Pages held at once: 4 MiB.
LOOKUPS_AT_ONCE = 1024


class SortedHashes:
    """Hashes given in rising order, each once, in parts.

    Args:
        folder: where the file is written. It loses its name at once, so that nothing is left behind,
            not even by a process that is killed.
    """

    def __init__(self, folder: str, parts: Iterable[NDArray[np.uint64]]) -> None:
        path = os.path.join(folder, "sorted")
        self._count = 0
        # Grown in one piece: small arrays kept between the parts pin 80 MB of freed memory.
        page_firsts = bytearray()
        with open(path, "wb") as file:
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
                page_firsts += part[-self._count % PAGE_HASHES :: PAGE_HASHES, 0].tobytes()
                self._count += len(part)
        self._page_firsts = np.frombuffer(page_firsts, np.uint64)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close
        os.unlink(path)

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def contains(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """One truth a hash. Raises OSError if the disk fails."""
        found = np.zeros(len(hashes), np.bool_)
        if not self._count:
            return found
        # In rising order: what lies on one page is looked up together, and a disk is read in one direction.
        order = np.argsort(hashes[:, 0])
        for start in range(0, len(order), LOOKUPS_AT_ONCE):
            places = order[start : start + LOOKUPS_AT_ONCE]
            found[places] = self._found(hashes[places])
        return found

    def _found(self, wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
        # Where a page begins with the wanted first half, equal ones may end the page before: then it is
        # looked for in both, and in all that hold nothing else.
        first_page = np.maximum(np.searchsorted(self._page_firsts, wanted[:, 0], side="left") - 1, 0)
        last_page = np.maximum(np.searchsorted(self._page_firsts, wanted[:, 0], side="right") - 1, 0)
        spans = last_page - first_page + 1
        asker = np.repeat(np.arange(len(wanted)), spans)
        page = np.repeat(last_page - np.cumsum(spans), spans) + np.arange(1, len(asker) + 1)
        pages, row = np.unique(page, return_inverse=True)
        on_page = _on_pages(self._read(pages), row, wanted[asker])
        found = np.zeros(len(wanted), np.bool_)
        found[asker[on_page]] = True
        return found

    def _read(self, pages: NDArray[np.int64]) -> NDArray[np.uint64]:
        size = PAGE_HASHES * HASH_BYTES
        number = self._file.fileno()
        content = b"".join([os.pread(number, size, page * size) for page in pages.tolist()])
        expected = min(
            len(pages) * PAGE_HASHES, self._count - (int(pages[-1]) + 1 - len(pages)) * PAGE_HASHES
        )
        if len(content) != expected * HASH_BYTES:
            raise OSError(f"{len(content)} bytes were read of {expected * HASH_BYTES}")
        return np.frombuffer(content, "<u8").reshape(-1, 2)


def _on_pages(
    hashes: NDArray[np.uint64], row: NDArray[np.int64], wanted: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Whether each wanted hash is on its page, the ``row``-th in ``hashes``; the last may be short."""
    firsts, seconds = hashes[:, 0], hashes[:, 1]
    place = row.reshape(-1) * PAGE_HASHES
    end = np.minimum(place + PAGE_HASHES, len(hashes))
    step = PAGE_HASHES
    while step > 1:
        step //= 2
        further = np.minimum(place + step, end - 1)
        place = np.where(firsts[further] < wanted[:, 0], further, place)
    place += firsts[place] < wanted[:, 0]
    found = np.zeros(len(place), np.bool_)
    # Two hashes with one first half are rare (a pair in every 37th set of 10^9), but then both are looked at.
    looked_at = np.flatnonzero(place < end)
    while len(looked_at):
        looked_at = looked_at[firsts[place[looked_at]] == wanted[looked_at, 0]]
        found[looked_at] |= seconds[place[looked_at]] == wanted[looked_at, 1]
        place[looked_at] += 1
        looked_at = looked_at[~found[looked_at] & (place[looked_at] < end[looked_at])]
    return found

"""Copying parts of a file as they are.

In: an open file, and from where to where. Out: the same bytes at the end of another. Called by the writers
that keep samples of a finished shard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

# One system call for some fifty samples of 20 KB.
_CHUNK_BYTES = 1 << 20


def copy_ranges(source: BinaryIO, target: BinaryIO, ranges: Iterable[tuple[int, int]]) -> None:
    """Copy each range (first byte, byte after its last) to where ``target`` stands, a megabyte at a time.

    Raises:
        OSError: the disk is full, or the like.
        ValueError: the source ends before a range does.
    """
    for start, end in ranges:
        source.seek(start)
        while start < end:
            chunk = source.read(min(_CHUNK_BYTES, end - start))
            if not chunk:
                raise ValueError(f"it ends at byte {start}: something has cut it")
            target.write(chunk)
            start += len(chunk)

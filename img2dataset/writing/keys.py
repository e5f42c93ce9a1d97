"""The names of shards and the keys of samples.

In: a shard's number, a row's place in it, and the digits the run was asked for. Out: the names under
which they are stored. Called by the worker, which names samples, and by the writers, which name files.
"""

from __future__ import annotations

import re

STATISTICS_ENDING = "_stats.json"
# Finished shards that are being replaced: see ``rewriting`` and ``store_journal``.
REWRITES_FOLDER = ".img2dataset_rewrites"

# Every name a run gives to something of a shard; ``files`` shards are folders, without an ending.
_SHARD_OUTPUT = re.compile(r"(\d+)(?:_stats\.json|\.parquet|\.tar|\.tfrecord)?")
_SHARD_STATISTICS = re.compile(r"(\d+)_stats\.json")


def key_digits(rows_per_shard: int) -> int:
    """Digits that the row's place takes in a key: ceil(log10(rows_per_shard)), in whole numbers.

    Not computed with ``math.log10``, whose error could add or lose a digit at a power of ten.
    """
    return len(str(rows_per_shard - 1)) if rows_per_shard > 1 else 0


def shard_name(shard_id: int, digits: int) -> str:
    """The shard's number, zero-padded to ``digits`` (longer numbers keep all of theirs)."""
    return f"{shard_id:0{digits}d}"


def sample_key(shard_id: int, index: int, digits: int, rows_per_shard: int) -> str:
    """The key of the ``index``-th row of a shard.

    ``digits`` are those of the shard's number (``oom_shard_count``). Keys sort as the input does, as
    long as shard numbers fit their digits.
    """
    row_digits = key_digits(rows_per_shard)
    return f"{shard_id * 10**row_digits + index:0{digits + row_digits}d}"


def finished_shard(file_name: str) -> int | None:
    """The shard that a statistics file is of; None for any other file."""
    match = _SHARD_STATISTICS.fullmatch(file_name)
    return int(match[1]) if match else None


def shard_of(name: str) -> int | None:
    """The shard that a file or folder of the output folder belongs to; None for anything else."""
    match = _SHARD_OUTPUT.fullmatch(name)
    return int(match[1]) if match else None

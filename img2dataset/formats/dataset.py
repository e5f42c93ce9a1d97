"""The names in a folder of shards: of its files, the keys of samples, the columns of metadata.

In: a shard's number, the number of a row in it, and the digits the run was asked for. Out: the names under
which they are stored, and which shard a name is of. A shard is done when its statistics file is there, which
comes last. Read by all that writes, checks or reads a dataset.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

STATISTICS_ENDING = "_stats.json"
METADATA_ENDING = ".parquet"
# Of finished shards that are being replaced: see ``working.replacing``.
REPLACEMENTS_FOLDER = ".img2dataset_rewrites"
# What runs tell of themselves; hidden, since readers of format files look for json files in all folders.
RUNS_FOLDER = ".img2dataset_runs"
# What a run, or img2dataset report, shows of the folder.
REPORT_PAGE, REPORT_DATA = "report.html", "report.json"
COMPARISON_PAGE, COMPARISON_DATA = "comparison.html", "comparison.json"
REPORT_NAMES = frozenset({REPORT_PAGE, REPORT_DATA, COMPARISON_PAGE, COMPARISON_DATA})

# The columns that every run computes, in their order; the hash of the original bytes and its EXIF come last.
SIZE_COLUMNS = ("width", "height", "original_width", "original_height")
# What was said of training, as ``consent_ledger`` writes it; of runs with ``save_consent``.
CONSENT_COLUMN = "consent"
COMPUTED_COLUMNS = ("key", "status", "error_message", *SIZE_COLUMNS)

# What the column or feature of the images can be called: ``encode_format``, else a true ending.
IMAGE_NAMES = ("jpg", "png", "webp", "jpeg", "gif", "bmp", "tif", "tiff", "avif", "jp2", "ico")

_SHARD_NAME = re.compile(r"\d+")
_SHARD_STATISTICS = re.compile(r"(\d+)_stats\.json")


def key_digits(rows_per_shard: int) -> int:
    """Digits of the row's number in a key: ceil(log10(rows_per_shard)), in whole numbers.

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


def finished_names(names: Iterable[str]) -> list[str]:
    """The names of the shards that are done, of all names in a folder; by number."""
    found = (match[1] for name in names if (match := _SHARD_STATISTICS.fullmatch(name)))
    return sorted(found, key=lambda shard: (int(shard), shard))


def shard_and_ending(name: str, data_endings: Collection[str]) -> tuple[str, str] | None:
    """The shard that a file or folder of the output folder is of, and what follows its name; else None.

    Args:
        name: of the file or folder.
        data_endings: those of the formats that the folder may have; ``""`` for a folder of the shard's name.
    """
    match = _SHARD_NAME.match(name)
    if match is None:
        return None
    ending = name[match.end() :]
    is_one = ending in (STATISTICS_ENDING, METADATA_ENDING) or ending in data_endings
    return (match[0], ending) if is_one else None


def shard_of(name: str, data_endings: Collection[str]) -> int | None:
    """The number of the shard that a file or folder is of; as ``shard_and_ending``."""
    found = shard_and_ending(name, data_endings)
    return int(found[0]) if found is not None else None


def metadata_name(shard: str) -> str:
    """The file of a shard's metadata."""
    return shard + METADATA_ENDING


def statistics_name(shard: str) -> str:
    """The file of a shard's statistics."""
    return shard + STATISTICS_ENDING


def computed_columns(extract_exif: bool, hash_column: str | None, consent_column: bool = False) -> list[str]:
    """The columns that a run computes, in their order in the metadata."""
    exif = ["exif"] if extract_exif else []
    consent = [CONSENT_COLUMN] if consent_column else []
    return [*COMPUTED_COLUMNS, *exif, *([hash_column] if hash_column is not None else []), *consent]

"""What a report is made from: the finished shards of a folder on any file system, listed once.

In: a location. Out: the shards, which of them are read, their statistics, and the columns of their metadata.
Of very many shards a part is read that a seed chooses, the same each time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from img2dataset.formats import OutputFormat, formats_with_own_data, output_format
from img2dataset.formats.dataset import finished_names, metadata_name, statistics_name
from img2dataset.storage.folders import side_by_side
from img2dataset.storage.locations import Location
from img2dataset.types import ShardStats
from img2dataset.work_line import with_line

if TYPE_CHECKING:
    import pyarrow as pa

SEED = 20
# Of so many shards the statistics are read, and the metadata of as many as have so many rows together.
MOST_STATISTICS, MOST_ROWS = 5_000, 3_000_000
_BATCH_ROWS = 8192
# No calendar goes on beyond, in Unix seconds.
_YEAR_10000 = 253_402_300_800.0
# Metadata alone are read whole; beside images, only what is asked for.
_WHOLE_BYTES = 16 << 20


@dataclass(frozen=True)
class Folder:
    """The finished shards of an output folder.

    Attributes:
        location: of it.
        names: of everything directly in it.
        sizes: bytes of each file in it, where the file system tells.
        shards: the names of those that are done.
        format: that of the data, None where there are none, as of the format ``dummy``.
    """

    location: Location
    names: frozenset[str]
    sizes: dict[str, int]
    shards: list[str]
    format: OutputFormat | None


@dataclass
class Statistics:
    """Those of the shards that were read. ``messages``: rows by ``success`` or failure."""

    shards: list[str] = field(default_factory=list)
    each: list[ShardStats] = field(default_factory=list)
    unreadable: int = 0

    @property
    def messages(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for stats in self.each:
            found.update(stats.status_dict)
        return found


def open_folder(location: Location) -> Folder:
    """List a folder.

    Raises:
        FileNotFoundError: there is none.
        Exception: it cannot be listed; every file system has its own errors.
    """
    sizes = dict(_listed(location))
    shards = finished_names(sizes)
    return Folder(location, frozenset(sizes), sizes, shards, _format_of(sizes, shards))


def _listed(location: Location) -> Iterator[tuple[str, int]]:
    if location.is_local:
        with os.scandir(location.path) as entries:
            for entry in entries:
                # A file that a run that is at work moves meanwhile.
                with contextlib.suppress(OSError):
                    yield entry.name, entry.stat().st_size if entry.is_file() else 0
        return
    location.file_system.invalidate_cache()
    listing = location.tried(lambda: location.file_system.ls(location.path, detail=True))
    location.file_system.invalidate_cache()
    for entry in listing:
        name = entry["name"].rstrip("/").rpartition("/")[2]
        if name and entry["name"].rstrip("/") != location.path.rstrip("/"):
            yield name, int(entry.get("size") or 0)


def _format_of(names: dict[str, int], shards: Sequence[str]) -> OutputFormat | None:
    for ending, found in formats_with_own_data().items():
        if any(shard + ending in names for shard in shards):
            return found
    if not any(metadata_name(shard) in names for shard in shards):
        return None
    # Of a folder format without a single success there is metadata alone too: it has no images then.
    return output_format("parquet")


def chosen(shards: Sequence[str], most: int) -> list[str]:
    """At most so many of the shards, by the seed; in their order."""
    if len(shards) <= most:
        return list(shards)
    positions = sorted(random.Random(SEED).sample(range(len(shards)), most))
    return [shards[position] for position in positions]


def read_statistics(folder: Folder, most: int = MOST_STATISTICS) -> Statistics:
    """The statistics of the folder's shards, or of ``most`` of them; broken ones are counted."""
    shards = chosen(folder.shards, most)

    def read(shard: str) -> ShardStats | None:
        path = f"{folder.location.path}/{statistics_name(shard)}"
        try:
            document = json.loads(folder.location.tried(lambda: folder.location.file_system.cat_file(path)))
            return _stats_of(shard, document)
        except Exception:  # gone meanwhile, or broken: what else is there is told
            return None

    found = Statistics()
    watched = with_line(shards, "reading statistics", "shards", len(shards))
    for shard, stats in zip(shards, side_by_side(folder.location, read, watched), strict=True):
        if stats is None:
            found.unreadable += 1
        else:
            found.shards.append(shard)
            found.each.append(stats)
    return found


def _stats_of(shard: str, document: dict[str, Any]) -> ShardStats:
    return ShardStats(
        shard_id=int(shard),
        count=int(document["count"]),
        successes=int(document["successes"]),
        failed_to_download=int(document["failed_to_download"]),
        failed_to_resize=int(document["failed_to_resize"]),
        start_time=_time_of(document["start_time"]),
        end_time=_time_of(document["end_time"]),
        status_dict={str(message): int(rows) for message, rows in document["status_dict"].items()},
    )


def _time_of(value: Any) -> float:
    """Unix seconds; JSON of Python may have Infinity and NaN, of which nothing can be drawn."""
    seconds = float(value)
    if not abs(seconds) < _YEAR_10000:  # NaN is less than nothing
        raise ValueError(f"{value} is no time")
    return seconds


def shards_of_rows(statistics: Statistics, most_rows: int = MOST_ROWS) -> list[str]:
    """Those whose metadata are read: all, or as many by the seed as have so many rows."""
    order = list(range(len(statistics.each)))
    if sum(stats.count for stats in statistics.each) > most_rows:
        random.Random(SEED).shuffle(order)
    taken: list[int] = []
    rows = 0
    for position in order:
        rows += statistics.each[position].count
        if taken and rows > most_rows:
            break
        taken.append(position)
    return [statistics.shards[position] for position in sorted(taken)]


def batches_of(folder: Folder, shard: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    """The metadata of a shard, those of the columns that it has in their order, some thousand rows at a time.

    Args:
        folder: where it lies.
        shard: which.
        columns: None: all of them.

    Raises:
        Exception: they are not there, not whole, or cannot be read.
    """
    with _open_metadata(folder, shard) as file:
        held = file.schema_arrow.names
        wanted = held if columns is None else [column for column in dict.fromkeys(held) if column in columns]
        yield from file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False)


def schema_of(folder: Folder, shard: str) -> pa.Schema:
    """The columns of a shard's metadata; raises as ``batches_of``."""
    with _open_metadata(folder, shard) as file:
        return file.schema_arrow


@contextlib.contextmanager
def _open_metadata(folder: Folder, shard: str) -> Iterator[pa.parquet.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = metadata_name(shard)
    location = folder.location
    path = f"{location.path}/{name}"
    with contextlib.ExitStack() as stack:
        source: Any = path
        if not location.is_local and folder.sizes.get(name, _WHOLE_BYTES) < _WHOLE_BYTES:
            source = pa.BufferReader(location.tried(lambda: location.file_system.cat_file(path)))
        elif not location.is_local:
            source = stack.enter_context(location.file_system.open(path, "rb"))
        yield stack.enter_context(pq.ParquetFile(source))

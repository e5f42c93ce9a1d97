"""Finished shards of an output folder → the same shards as rows to make, without their list.

For ``retry_failed`` where ``new_only`` has added to the folder: which rows of the list went into which shard
is then known from the metadata alone. Called by the api.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.reading.columns import SelectedColumn
from img2dataset.reading.finished_urls import MetadataFile
from img2dataset.reading.formats.parquet import ParquetSource
from img2dataset.types import Shard


def shards_of_folder(
    shard_ids: Iterable[int],
    skip: Container[int],
    metadata_path: Callable[[int], str],
    columns: Sequence[str],
) -> Iterator[Shard]:
    """These shards, with their rows in the order of their keys.

    Args:
        shard_ids: finished shards.
        skip: those of them that are not wanted.
        metadata_path: of a finished shard.
        columns: those that came from the list, in their order.

    Raises:
        InputError: the metadata cannot be read, or lacks a column.
    """
    wanted = tuple(SelectedColumn(name, name, "metadata of a shard") for name in ("key", *columns))
    for shard_id in shard_ids:
        if shard_id in skip:
            continue
        path = metadata_path(shard_id)
        source = ParquetSource(MetadataFile.at(path), wanted)
        try:
            parts = [rows.build(0, rows.count).table for rows in source.pending()]
            table = pa.concat_tables(parts)
            # 1.47.0 wrote rows in the order of the answers.
            keys = table.column("key").to_pylist()
            order = pa.array(sorted(range(len(keys)), key=lambda row: int(keys[row])))
            yield Shard(shard_id, table.select(list(columns)).take(order))
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise InputError(f"{path} cannot be read as the metadata of a shard: {error}") from error

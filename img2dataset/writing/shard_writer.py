"""The life of one shard's files, from open to committed or discarded.

In: the shard's input columns, then its samples, in any order. Out: its files under their final names,
statistics last, or nothing. Called by the worker, which may hold several open at once.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from img2dataset.errors import OutputError
from img2dataset.types import SUCCESS, Sample, ShardStats
from img2dataset.writing.commit import open_shard_folder, statistics_name
from img2dataset.writing.keys import sample_key, shard_name
from img2dataset.writing.metadata import ShardMetadata, write_metadata
from img2dataset.writing.sample_writer import open_sample_writer
from img2dataset.writing.settings import WriteSettings

if TYPE_CHECKING:
    import pyarrow as pa


class ShardWriter:
    """Writes one shard.

    Args:
        settings: how and where.
        shard_id: the shard's number.
        input_columns: the columns of the metadata that come from the input, in order, one row each:
            the additional columns, ``caption`` if there are captions, ``url``.

    Raises:
        MissingDependency: the output format or file system needs a package that is not installed.
        OSError: the temporary files cannot be made.
    """

    def __init__(self, settings: WriteSettings, shard_id: int, input_columns: pa.Table) -> None:
        self._settings = settings
        self._shard_id = shard_id
        self._shard = shard_name(shard_id, settings.shard_digits)
        self._metadata = ShardMetadata(settings, self._shard, input_columns)
        self._folder = open_shard_folder(settings, self._shard)
        try:
            self._samples = open_sample_writer(settings, self._folder.path, self._shard, self._metadata)
        except BaseException:
            self._folder.remove()
            raise

    def key_of(self, index: int) -> str:
        """The key of the ``index``-th row."""
        settings = self._settings
        return sample_key(self._shard_id, index, settings.shard_digits, settings.rows_per_shard)

    def input_row_failure(self, index: int) -> str | None:
        """Why the ``index``-th row cannot be stored in this format, whatever its image; else None.

        A message of the small language of failures, such as ``invalid row: taken_at: out of range``. To
        be asked before the row is fetched: it then fails, alone, and its image is not asked for. Its
        input columns still stand in the metadata, which holds any Arrow value.
        """
        reason = self._samples.row_failures.get(index)
        return None if reason is None else f"invalid row: {reason}"

    def write(self, sample: Sample) -> None:
        """Settle one row: its metadata and, if it succeeded, its files. In any order, each row once.

        The image is written before this returns; its buffer can be used again.

        Raises:
            OutputError: the row does not exist, was settled before, or succeeded without an image.
            OSError: the disk is full, or the like. The shard cannot be completed: discard it.
        """
        self._metadata.settle(sample.index, sample.metadata)
        if sample.metadata["status"] == SUCCESS:
            if sample.image is None:
                raise OutputError(f"shard {self._shard}: {sample.key} is a success without an image")
            self._samples.write(sample)

    def commit(self, stats: ShardStats) -> None:
        """Put all files under their final names, statistics last. On return the shard is done.

        Raises:
            OutputError: rows, metadata and statistics do not agree; nothing was put in place.
            OSError: the disk is full, or the like; the shard is not done. Discard it.
        """
        if stats.shard_id != self._shard_id:
            raise OutputError(f"shard {self._shard}: these are the statistics of shard {stats.shard_id}")
        self._metadata.check_against(stats)
        table = self._metadata.table()
        self._samples.finish(table)
        names = [] if self._samples.output_name is None else [self._samples.output_name]
        if not self._samples.holds_metadata:
            names.append(f"{self._shard}.parquet")
            write_metadata(table, os.path.join(self._folder.path, names[-1]))
        statistics = statistics_name(self._shard)
        with open(os.path.join(self._folder.path, statistics), "w", encoding="ascii") as file:
            json.dump(stats.as_json(), file, indent=4)
        self._folder.publish(names, statistics)

    def discard(self) -> None:
        """Remove the temporary files. Never raises; after ``commit`` it does nothing."""
        self._samples.abandon()
        self._folder.remove()

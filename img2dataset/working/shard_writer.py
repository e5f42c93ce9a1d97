"""The life of one shard's files, from open to committed or discarded.

In: the shard's input columns, then its samples, in any order. Out: its files under their final names,
statistics last, or nothing. Called by the worker, which may hold several open at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.errors import OutputError
from img2dataset.failures import Failure
from img2dataset.formats.dataset import metadata_name, sample_key, shard_name, statistics_name
from img2dataset.formats.format import KeptSample
from img2dataset.formats.metadata import ShardMetadata, write_metadata
from img2dataset.formats.settings import WriteSettings
from img2dataset.types import SUCCESS, Sample, ShardStats
from img2dataset.working.commit import ShardFolder, open_shard_folder
from img2dataset.working.finished_shard import FinishedShard, refuse_columns
from img2dataset.working.replacing import ReplacedShard
from img2dataset.working.unfinished import put_aside, remove_unfinished

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class PreparedShard:
    """A shard whose files are whole on the local disk; ``folder`` puts them in place."""

    settings: WriteSettings
    shard: str
    folder: ShardFolder
    names: list[str]
    statistics: str
    replaced: ReplacedShard | None

    @property
    def is_uploaded(self) -> bool:
        """Whether putting it in place takes its time, and leaves the disk alone."""
        return not self.folder.location.is_local

    def publish(self) -> None:
        """Put all files under their final names, statistics last. On return the shard is done. Any thread.

        On a store it may be called again after it failed, also where a finished shard is replaced.

        Raises:
            OutputError, OSError: as ``ShardWriter.commit``.
        """
        # Not every file system's package takes calls of two threads: this one gets its own.
        self.folder.location = self.settings.locate()
        self.folder.publish(self.names, self.statistics, self.replaced)
        # Whether it was of use or not, nothing of a done shard is kept unfinished.
        remove_unfinished(self.folder.location, self.shard)

    def discard(self) -> None:
        """Remove the files from the local disk. Never raises."""
        self.folder.remove()


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
        self.shard = self._shard = shard_name(shard_id, settings.shard_digits)
        self._metadata = ShardMetadata(settings, self._shard, input_columns)
        self._finished: FinishedShard | None = None
        self._kept: set[int] = set()
        self._folder = open_shard_folder(settings, self._shard)
        try:
            self._samples = settings.format.writer(settings, self._folder.path, self._shard, self._metadata)
        except BaseException:
            self._folder.remove()
            raise

    def key_of(self, index: int) -> str:
        """The key of the ``index``-th row."""
        settings = self._settings
        return sample_key(self._shard_id, index, settings.shard_digits, settings.rows_per_shard)

    def input_row_failure(self, index: int) -> Failure | None:
        """Why the ``index``-th row cannot be stored in this format, whatever its image; else None.

        A message of the small language of failures, such as ``invalid row: title: not valid UTF-8``. To
        be asked before the row is fetched: it then fails, alone, and its image is not asked for. Its
        input columns still stand in the metadata, which holds any Arrow value.
        """
        reason = self._samples.row_failures.get(index)
        return None if reason is None else failures.of_row(reason)

    def write(self, sample: Sample) -> None:
        """Take one row: its metadata and, if it succeeded, its files. In any order, each row once.

        The image is written before this returns; its buffer can be used again.

        Raises:
            OutputError: the row does not exist, was taken before, or succeeded without an image.
            OSError: the disk is full, or the like. The shard cannot be completed: discard it.
        """
        self._metadata.set_row(sample.index, sample.metadata)
        if sample.metadata["status"] == SUCCESS:
            if sample.image is None:
                raise OutputError(f"shard {self._shard}: {sample.key} is a success without an image")
            self._samples.write(sample)

    def keep(self, finished: FinishedShard, indexes: Collection[int]) -> None:
        """Take these rows over as they stand in the finished shard that this one is to replace.

        Their metadata keep their values. Samples of successes stay bit for bit, in the order of the old file;
        they are copied in bulk, without being decoded or held in memory (format ``files``: not at all). The
        commit then replaces the old shard, in one step as far as a crash can tell; see ``replacing``.

        Args:
            finished: this shard as it stands, from ``open_finished_shard``.
            indexes: of the rows to keep, successes or failures; the others are to be written.

        Raises:
            OutputError: the old shard is broken, lacks a sample that its metadata calls a success, or has
                other columns, rows or keys than this one; or a row was taken before. Discard the shard.
            OSError: the disk is full, or the like. Discard the shard.
        """
        table = finished.metadata
        self._check_same_rows(finished, table)
        self._metadata.keep(table, indexes)
        keys, statuses, widths = (table[name].to_pylist() for name in ("key", "status", "width"))
        successes = {
            keys[index]: KeptSample(index, was_decoded=widths[index] is not None)
            for index in indexes
            if statuses[index] == SUCCESS
        }
        if successes:
            try:
                self._samples.keep(finished, successes)
            except ValueError as error:
                raise finished.broken(str(error)) from error
        self._finished = finished
        self._kept.update(indexes)

    def _check_same_rows(self, finished: FinishedShard, table: pa.Table) -> None:
        if finished.name != self._shard:
            raise OutputError(f"shard {self._shard}: rows of shard {finished.name} cannot be kept in it")
        if self._finished is not None and self._finished.statistics_text != finished.statistics_text:
            raise OutputError(f"shard {self._shard} was replaced after some of its rows were kept")
        columns = self._metadata.columns
        refuse_columns(
            self._shard,
            missing=[name for name in columns if name not in table.column_names],
            others=[name for name in table.column_names if name not in columns],
        )

    def commit(self, stats: ShardStats) -> None:
        """Put all files under their final names, statistics last. On return the shard is done.

        Raises:
            OutputError: rows, metadata and statistics do not agree, or another run has replaced the finished
                shard that rows were kept from; nothing was put in place.
            OSError: the disk is full, or the like; the shard is not done. Discard it.
        """
        self.prepare(stats).publish()

    def prepare(self, stats: ShardStats) -> PreparedShard:
        """Complete all files on the local disk; what is left to do is to put them in place.

        Raises:
            OutputError, OSError: as ``commit``.
        """
        names, statistics = self._complete(stats)
        return PreparedShard(self._settings, self._shard, self._folder, names, statistics, self._replaced())

    def put_aside(self, stats: ShardStats) -> None:
        """Keep the shard unfinished, for the next run to complete; see ``unfinished``.

        Args:
            stats: as for ``commit``; rows that were not tried are failures with the message ``NOT_TRIED``.

        Raises:
            OutputError, OSError: as ``commit``; nothing more is kept than before.
        """
        names, statistics = self._complete(stats)
        put_aside(self._settings.locate(), self._folder.path, names, statistics, self._finished)
        self._folder.remove()

    def _complete(self, stats: ShardStats) -> tuple[list[str], str]:
        """Write all files whole, under their final names, in the temporary folder; these names."""
        if stats.shard_id != self._shard_id:
            raise OutputError(f"shard {self._shard}: these are the statistics of shard {stats.shard_id}")
        self._metadata.check_against(stats)
        table = self._metadata.table()
        self._samples.finish(table)
        output_format = self._settings.format
        data_name = output_format.data_name(self._shard)
        names = [] if data_name is None else [data_name]
        if not output_format.holds_metadata:
            names.append(metadata_name(self._shard))
            write_metadata(table, os.path.join(self._folder.path, names[-1]))
        statistics = statistics_name(self._shard)
        with open(os.path.join(self._folder.path, statistics), "w", encoding="ascii") as file:
            json.dump(stats.as_json(), file, indent=4)
        return names, statistics

    def _replaced(self) -> ReplacedShard | None:
        if self._finished is None or not self._finished.in_place:
            return None
        rows = range(self._metadata.row_count)
        retried_keys = frozenset(self.key_of(index) for index in rows if index not in self._kept)
        return ReplacedShard(self._finished.statistics_text, retried_keys)

    def discard(self) -> None:
        """Remove the temporary files. Never raises; after ``commit`` it does nothing."""
        self._samples.abandon()
        self._folder.remove()

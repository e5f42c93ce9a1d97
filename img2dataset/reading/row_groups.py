"""Row groups of a parquet file: their rows, decoded batch by batch, and where they lie.

Called by the source of parquet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.errors import InputError, one_line
from img2dataset.reading.columns import SelectedColumn, build_from_table
from img2dataset.reading.places import NotThere, Place
from img2dataset.reading.rows import BuiltRows, PendingRows
from img2dataset.types import ShardSpec

MAX_BATCH_ROWS = 8192
BATCH_BYTES = 8 << 20


class RowGroupRows:
    """One row group, decoded as far as rows are asked for, and not at all if none are."""

    def __init__(
        self, file: pq.ParquetFile, group: int, columns: Sequence[SelectedColumn], path: str
    ) -> None:
        self.file = file
        self.group = group
        self.columns = columns
        self.path = path
        self.count = int(file.metadata.row_group(group).num_rows)
        # How many rows have been decoded and handed out, or passed over.
        self.position = 0
        self._batch: Any = None
        self._batches: Iterator[Any] | None = None

    def build(self, start: int, stop: int) -> BuiltRows:
        pieces = []
        try:
            while self.position < stop:
                if self._batch is None or self._batch.num_rows == 0:
                    self._batch = self._next_batch()
                end = self.position + self._batch.num_rows
                taken = min(end, stop) - self.position
                if self.position + taken > start:
                    offset = max(start - self.position, 0)
                    pieces.append(self._batch.slice(offset, taken - offset))
                self._batch = self._batch.slice(taken)
                self.position += taken
        except InputError:
            raise
        except Exception as error:  # pyarrow's, or those of the store it reads from
            raise InputError(
                f"{self.path} breaks off in row group {self.group}: {one_line(error)}"
            ) from error
        return build_from_table(self.columns, pa.Table.from_batches(pieces))

    def _next_batch(self) -> Any:
        if self._batches is None:
            self._batches = self.file.iter_batches(
                batch_size=self._batch_rows(),
                row_groups=[self.group],
                columns=list(dict.fromkeys(column.source for column in self.columns)),
                use_threads=False,
            )
        batch = next(self._batches, None)
        if batch is None:
            raise InputError(
                f"{self.path} breaks off in row group {self.group}: it has fewer rows than it says"
            )
        return batch

    def _batch_rows(self) -> int:
        """So many rows that the wanted columns take about ``BATCH_BYTES``."""
        group = self.file.metadata.row_group(self.group)
        wanted = {column.source for column in self.columns}
        chunks = (group.column(index) for index in range(group.num_columns))
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema in wanted or chunk.path_in_schema.split(".")[0] in wanted
        )
        return max(1, min(MAX_BATCH_ROWS, int(BATCH_BYTES * self.count / max(size, 1))))


@dataclass(frozen=True, slots=True)
class RowsOfGroup:
    """``count`` rows of a row group, from ``first`` on."""

    rows: RowGroupRows
    first: int
    count: int

    def build(self, start: int, stop: int) -> BuiltRows:
        return self.rows.build(self.first + start, self.first + stop)


@dataclass(frozen=True, slots=True)
class PlacedGroup:
    """Where the rows of a row group lie; ``first_row`` counts the rows of the file."""

    first_row: int
    group: int
    count: int

    def build(self, start: int, stop: int) -> Place:
        return Place(self.first_row + start, stop - start, self.group, self.group + 1)


def rows_of_row_groups(file: pq.ParquetFile) -> list[int]:
    """The number of rows of each row group."""
    metadata = file.metadata
    return [int(metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups)]


def placed_groups(rows_of_groups: Sequence[int]) -> Iterator[PlacedGroup]:
    """Where the rows of row groups with so many rows lie."""
    first_row = 0
    for group, rows in enumerate(rows_of_groups):
        if rows:
            yield PlacedGroup(first_row, group, rows)
        first_row += rows


class EnteredFile:
    """A file that is read from the middle: the rows of one shard after another, in any order.

    A row group can only be decoded from its beginning. So it stays open, and a shard behind the one before it
    costs no more than what lies between them.
    """

    def __init__(self, file: pq.ParquetFile, columns: Sequence[SelectedColumn], path: str) -> None:
        self._file = file
        self._columns = columns
        self._path = path
        rows_of_groups = rows_of_row_groups(file)
        self._first_rows = [0, *accumulate(rows_of_groups)]
        self._open: RowGroupRows | None = None

    def rows_at(self, spec: ShardSpec) -> Iterator[PendingRows]:
        """As ``PlacedSource.rows_at``."""
        begin, end = spec.hint["row_groups"]
        if end >= len(self._first_rows) or self._first_rows[-1] != spec.hint["rows_of_file"]:
            raise NotThere(f"it has {self._first_rows[-1]} rows in {len(self._first_rows) - 1} row groups")
        position, stop = spec.first_row, spec.first_row + spec.rows
        for group in range(begin, end):
            first, behind = self._first_rows[group : group + 2]
            if first == behind:
                continue
            if not first <= position < behind:
                raise NotThere(f"row group {group} has rows {first} to {behind}")
            taken = min(behind, stop) - position
            yield RowsOfGroup(self._rows_of(group, position - first), position - first, taken)
            position += taken

    def _rows_of(self, group: int, first: int) -> RowGroupRows:
        if self._open is None or self._open.group != group or self._open.position > first:
            self._open = RowGroupRows(self._file, group, self._columns, self._path)
        return self._open

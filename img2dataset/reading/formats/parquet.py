"""parquet: row groups, decoded batch by batch, only the wanted columns, only the wanted groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.errors import InputError, one_line
from img2dataset.options import InputOptions
from img2dataset.reading.columns import SelectedColumn, build_from_table, check_columns
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.rows import BuiltRows, PendingRows, RowSource, Warnings
from img2dataset.reading.sniffing import HEAD_BYTES, check_parquet_head

MAX_BATCH_ROWS = 8192
BATCH_BYTES = 8 << 20
# Column chunks are read through a buffer of this size: a row group of a gigabyte is never held whole.
BUFFER_BYTES = 1 << 20


class Format(ListFormat):
    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return ParquetSource(file, columns)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        return ParquetSource(file, ()).table()


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
        self._position = 0
        self._batch: Any = None
        self._batches: Iterator[Any] | None = None

    def build(self, start: int, stop: int) -> BuiltRows:
        pieces = []
        try:
            while self._position < stop:
                if self._batch is None or self._batch.num_rows == 0:
                    self._batch = self._next_batch()
                end = self._position + self._batch.num_rows
                taken = min(end, stop) - self._position
                if self._position + taken > start:
                    offset = max(start - self._position, 0)
                    pieces.append(self._batch.slice(offset, taken - offset))
                self._batch = self._batch.slice(taken)
                self._position += taken
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


class ParquetSource:
    def __init__(self, file: ListFile, columns: Sequence[SelectedColumn]) -> None:
        self.file = file
        self.columns = columns
        self._rows: int | None = None

    def row_count(self) -> int | None:
        """From the footer."""
        if self._rows is None:
            with self._opened() as parquet:
                self._rows = int(parquet.metadata.num_rows)
        return self._rows

    def pending(self) -> Iterator[PendingRows]:
        with self._opened() as parquet:
            self._rows = int(parquet.metadata.num_rows)
            check_columns(self.columns, parquet.schema_arrow.names, self.file.path)
            for group in range(parquet.metadata.num_row_groups):
                if parquet.metadata.row_group(group).num_rows:
                    yield RowGroupRows(parquet, group, self.columns, self.file.path)

    def table(self) -> pa.Table:
        """All of the file."""
        with self._opened() as parquet:
            try:
                return parquet.read()
            except Exception as error:  # pyarrow's, or those of the store it reads from
                raise InputError(f"{self.file.path} breaks off: {one_line(error)}") from error

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        if self.file.is_pipe:
            raise InputError(f"{self.file.path} is a pipe; parquet can only be read from a file")
        with self.file.open() as stream:
            try:
                check_parquet_head(stream.read(HEAD_BYTES), self.file.path)
                stream.seek(0)
                parquet = pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False)
            except InputError:
                raise
            except Exception as error:  # pyarrow's, or those of the store it reads from
                raise InputError(
                    f"{self.file.path} cannot be read as parquet: {one_line(error)}; is the file whole?"
                ) from error
            yield parquet

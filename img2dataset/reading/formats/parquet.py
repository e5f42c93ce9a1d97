"""parquet: row groups, decoded batch by batch, only the wanted columns, only the wanted groups."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.errors import InputError, one_line
from img2dataset.options import InputOptions
from img2dataset.reading.columns import SelectedColumn, check_columns
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.places import Hint, Place
from img2dataset.reading.row_groups import (
    EnteredFile,
    PlacedGroup,
    RowGroupRows,
    placed_groups,
    rows_of_row_groups,
)
from img2dataset.reading.rows import PendingRows, RowSource, Warnings
from img2dataset.reading.sniffing import HEAD_BYTES, check_parquet_head
from img2dataset.types import ShardSpec

# Column chunks are read through a buffer of this size: a row group of a gigabyte is never held whole.
BUFFER_BYTES = 1 << 20


class Format(ListFormat):
    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return ParquetSource(file, columns)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        return ParquetSource(file, ()).table()


class ParquetSource:
    def __init__(self, file: ListFile, columns: Sequence[SelectedColumn]) -> None:
        self.file = file
        self.columns = columns
        self._rows: int | None = None
        # What was entered last stays open: the next shard's rows are often behind it.
        self._entered: EnteredFile | None = None

    def row_count(self) -> int | None:
        """From the footer."""
        if self._rows is None:
            with self.file.open_parts() as stream:
                self._rows = int(self._parquet(stream).metadata.num_rows)
        return self._rows

    def pending(self) -> Iterator[PendingRows]:
        with self.file.open() as stream:
            parquet = self._parquet(stream)
            self._rows = int(parquet.metadata.num_rows)
            for group in range(parquet.metadata.num_row_groups):
                if parquet.metadata.row_group(group).num_rows:
                    yield RowGroupRows(parquet, group, self.columns, self.file.path)

    def can_be_entered(self) -> bool:
        return self.file.has_parts()

    def places(self) -> Iterator[PlacedGroup]:
        with self.file.open_parts() as stream:
            rows_of_groups = rows_of_row_groups(self._parquet(stream))
        self._rows = sum(rows_of_groups)
        return placed_groups(rows_of_groups)

    def hint(self, places: Sequence[Place]) -> Hint:
        return {"row_groups": [places[0].begin, places[-1].end], "rows_of_file": self._rows}

    def rows_at(self, spec: ShardSpec) -> Iterator[PendingRows]:
        if self._entered is None:
            stream = self.file.open_parts()
            weakref.finalize(self, stream.close)
            self._entered = EnteredFile(self._parquet(stream), self.columns, self.file.path)
        return self._entered.rows_at(spec)

    def table(self) -> pa.Table:
        """All of the file."""
        with self.file.open() as stream:
            parquet = self._parquet(stream)
            try:
                return parquet.read()
            except Exception as error:  # pyarrow's, or those of the store it reads from
                raise InputError(f"{self.file.path} breaks off: {one_line(error)}") from error

    def _parquet(self, stream: BinaryIO) -> pq.ParquetFile:
        if self.file.is_pipe:
            raise InputError(f"{self.file.path} is a pipe; parquet can only be read from a file")
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
        check_columns(self.columns, parquet.schema_arrow.names, self.file.path)
        return parquet

"""Lists given from Python: Arrow tables, iterables of URLs or of dictionaries, one-shot iterators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.reading.columns import SelectedColumn, build_from_table, check_columns
from img2dataset.reading.formats.json import records_of
from img2dataset.reading.records import Record, RecordColumns, RecordRows
from img2dataset.reading.rows import BuiltRows, PendingRows, RowSource, Warnings
from img2dataset.reading.spooling import SpooledSource

# Small, so that a slow iterator's first shard does not wait for more rows than it holds.
BATCH_ROWS = 1024
WHERE = "url_list"


def memory_source(
    url_list: Any, columns: Sequence[SelectedColumn], url_column: str, warnings: Warnings
) -> RowSource:
    """The source for a list that is no path; InputError for what cannot be one."""
    if isinstance(url_list, (bytes, bytearray)):
        raise InputError("url_list is bytes; give a path as text, or an iterable of URLs")
    if isinstance(url_list, (pa.Array, pa.ChunkedArray)):
        url_list = pa.table({url_column: url_list})
    if isinstance(url_list, pa.RecordBatchReader):
        return SpooledSource(TableBatches(iter(url_list), url_list.schema.names, columns))
    if hasattr(url_list, "__arrow_c_stream__") or isinstance(url_list, (pa.Table, pa.RecordBatch)):
        # pandas, polars and other data frames give themselves as Arrow.
        table = url_list if isinstance(url_list, pa.Table) else pa.table(url_list)
        return TableSource(table, columns)
    if isinstance(url_list, Mapping):
        url_list = records_of(
            {
                name: values if isinstance(values, Mapping) else list(values)
                for name, values in url_list.items()
            },
            WHERE,
        )
    if not isinstance(url_list, Iterable):
        raise InputError(
            f"url_list is of type {type(url_list).__name__}; give a path, an iterable of URLs or of "
            "dictionaries, or an Arrow table"
        )
    source = IterableSource(url_list, columns, url_column, warnings)
    return SpooledSource(source) if iter(url_list) is url_list else source


class TableRows:
    def __init__(self, table: pa.Table, columns: Sequence[SelectedColumn]) -> None:
        self.table = table
        self.columns = columns

    @property
    def count(self) -> int:
        return int(self.table.num_rows)

    def build(self, start: int, stop: int) -> BuiltRows:
        return build_from_table(self.columns, self.table.slice(start, stop - start))


class TableSource:
    def __init__(self, table: pa.Table, columns: Sequence[SelectedColumn]) -> None:
        check_columns(columns, table.schema.names, WHERE)
        self.table = table
        self.columns = columns

    def row_count(self) -> int | None:
        return int(self.table.num_rows)

    def pending(self) -> Iterator[PendingRows]:
        if self.table.num_rows:
            yield TableRows(self.table, self.columns)


class TableBatches:
    """A stream of record batches, which can be read once."""

    def __init__(
        self, batches: Iterator[pa.RecordBatch], names: Sequence[str], columns: Sequence[SelectedColumn]
    ) -> None:
        check_columns(columns, names, WHERE)
        self.batches = batches
        self.columns = columns

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[PendingRows]:
        for batch in self.batches:
            if batch.num_rows:
                yield TableRows(pa.Table.from_batches([batch]), self.columns)


class IterableSource:
    """URLs, or dictionaries with the columns' names as keys."""

    def __init__(
        self,
        items: Iterable[Any],
        columns: Sequence[SelectedColumn],
        url_column: str,
        warnings: Warnings,
    ) -> None:
        self.items = items
        self.columns = RecordColumns(columns, WHERE, warnings)
        self.url_column = url_column

    def row_count(self) -> int | None:
        return len(self.items) if isinstance(self.items, Sequence) else None

    def pending(self) -> Iterator[PendingRows]:
        first_row = 0
        items = iter(self.items)
        while batch := list(islice(items, BATCH_ROWS)):
            rows = RecordRows(batch, first_row, self.columns, self._record)
            rows.choose_types()
            yield rows
            first_row += len(batch)

    def _record(self, item: Any) -> Record:
        if isinstance(item, Mapping):
            return item
        return {self.url_column: item.as_py() if isinstance(item, pa.Scalar) else item}

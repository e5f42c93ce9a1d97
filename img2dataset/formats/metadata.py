"""A shard's metadata: the input's columns beside the columns that the run computes.

In: the shard's input columns as one Arrow table, and each finished row's computed values. Out: the table
of ``00000.parquet``, all rows in the order of their keys. Called by ``ShardWriter``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from img2dataset.counted import counted
from img2dataset.errors import OutputError
from img2dataset.formats.dataset import SIZE_COLUMNS
from img2dataset.formats.settings import WriteSettings
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, ShardStats

if TYPE_CHECKING:
    import pyarrow as pa


def column_type(name: str, settings: WriteSettings) -> pa.DataType | None:
    """The Arrow type of a metadata column; None for an additional column, which may be of any."""
    import pyarrow as pa

    if name in SIZE_COLUMNS:
        return pa.int32()
    if name in ("caption", "url") or name in settings.computed_columns:
        return pa.string()
    return None


class ShardMetadata:
    """The metadata of one open shard, filled row by row in any order.

    Args:
        settings: decides the computed columns.
        shard: the shard's name, for messages.
        input_columns: the columns that come from the input, one row each.
    """

    def __init__(self, settings: WriteSettings, shard: str, input_columns: pa.Table) -> None:
        self.input_columns = input_columns
        self.row_count: int = input_columns.num_rows
        self.columns = [*input_columns.column_names, *settings.computed_columns]
        self._shard = shard
        self._is_set = bytearray(self.row_count)
        self._computed: dict[str, list[Any]] = {
            name: [None] * self.row_count for name in settings.computed_columns
        }

    def set_row(self, index: int, values: Mapping[str, Any]) -> None:
        """Take the computed values of the ``index``-th row.

        Raises:
            OutputError: the shard has no such row, or the row was set before.
        """
        if not 0 <= index < self.row_count:
            raise OutputError(f"shard {self._shard}: row {index} of {self.row_count} does not exist")
        if self._is_set[index]:
            raise OutputError(f"shard {self._shard}: row {index} was set twice")
        for name, column in self._computed.items():
            column[index] = values[name]
        self._is_set[index] = 1

    def keep(self, finished: pa.Table, indexes: Collection[int]) -> None:
        """Set these rows to the values that they have in a finished shard, the input's columns included.

        Args:
            finished: its metadata, all rows in their order; with the columns of this one.
            indexes: the rows to keep.

        Raises:
            OutputError: the numbers of rows differ, a column is of another type, or as ``set_row``.
        """
        if finished.num_rows != self.row_count:
            raise OutputError(
                f"shard {self._shard}: the list has {counted(self.row_count, 'row')} for it and its metadata "
                f"{finished.num_rows}: this is another list"
            )
        computed = {name: finished[name].to_pylist() for name in self._computed}
        for index in indexes:
            if not 0 <= index < self.row_count:
                raise OutputError(f"shard {self._shard}: row {index} of {self.row_count} does not exist")
            self.set_row(index, {name: values[index] for name, values in computed.items()})
        self.input_columns = self._with_values_of(finished, set(indexes))

    def _with_values_of(self, finished: pa.Table, indexes: set[int]) -> pa.Table:
        """The input's columns with those rows as they are in the finished shard."""
        import pyarrow as pa

        count = self.row_count
        positions = pa.array([index if index in indexes else count + index for index in range(count)])
        columns = {}
        for name in self.input_columns.column_names:
            new, old = self.input_columns[name], finished[name]
            if old.equals(new):
                columns[name] = new
                continue
            # A column without a value has no type yet (1.47.0 writes it as null).
            wanted = old.type if pa.types.is_null(new.type) else new.type
            try:
                both = [*old.cast(wanted).chunks, *new.cast(wanted).chunks]
            except (pa.ArrowException, NotImplementedError) as error:
                raise OutputError(
                    f"shard {self._shard}: column {name} is of type {old.type} in its metadata and of "
                    f"{new.type} in the list: this is another list"
                ) from error
            columns[name] = pa.chunked_array(both, wanted).take(positions)
        return pa.table(columns)

    def check_against(self, stats: ShardStats) -> None:
        """Refuse a shard whose rows, metadata and statistics do not say the same.

        Raises:
            OutputError: some row was never set, or a count differs.
        """
        missing = self.row_count - sum(self._is_set)
        if missing:
            first = self._is_set.index(0)
            raise OutputError(
                f"shard {self._shard}: {missing} of {self.row_count} rows were never set, "
                f"row {first} the first"
            )
        by_status = Counter(self._computed["status"])
        by_message = Counter(
            SUCCESS if status == SUCCESS else message
            for status, message in zip(self._computed["status"], self._computed["error_message"], strict=True)
        )
        for what, found, said in (
            ("count", self.row_count, stats.count),
            ("successes", by_status[SUCCESS], stats.successes),
            ("failed_to_download", by_status[FAILED_TO_DOWNLOAD], stats.failed_to_download),
            ("failed_to_resize", by_status[FAILED_TO_RESIZE], stats.failed_to_resize),
            (
                "the sum of the three",
                by_status.total(),
                stats.successes + stats.failed_to_download + stats.failed_to_resize,
            ),
            (
                "status_dict",
                dict(by_message),
                {key: value for key, value in stats.status_dict.items() if value},
            ),
        ):
            if found != said:
                raise OutputError(
                    f"shard {self._shard}: the statistics say {what} = {said}, its rows say {found}"
                )

    def table(self) -> pa.Table:
        """All rows in the order of their keys: the input's columns as they are, then the computed ones."""
        import pyarrow as pa

        names = list(self.input_columns.column_names)
        arrays = list(self.input_columns.columns)
        for name, values in self._computed.items():
            arrow_type = pa.int32() if name in SIZE_COLUMNS else pa.string()
            names.append(name)
            arrays.append(pa.chunked_array([pa.array(values, arrow_type)]))
        # Fields anew: the input's schema may carry notes (pandas index, field ids) untrue of this table.
        schema = pa.schema([pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)])
        return pa.Table.from_arrays(arrays, schema=schema)


def write_metadata(table: pa.Table, path: str) -> None:
    """Write the metadata as a Parquet file of one row group: a shard's rows are few and small."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, row_group_size=max(table.num_rows, 1))

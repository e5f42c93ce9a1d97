"""Rows by number: what every list becomes, and the kinds that are not packed (``packed_rows``).

Called by the modules that open lists, and by the datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

_COMBINED_BYTES = 1 << 28


class RowList(Protocol):
    """Rows by number. ``columns`` are the names that rows have; a row is a dictionary of plain values."""

    @property
    def columns(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def row(self, index: int) -> dict[str, Any]: ...


class ArrowRows:
    """Rows of an Arrow table."""

    def __init__(self, table: pa.Table):
        # One chunk a column: looking up a row is then one step. But what is large, images, is not copied; and
        # embedded ones of more than 2 GiB do not fit into one chunk.
        self._table = table.combine_chunks() if table.nbytes <= _COMBINED_BYTES else table
        self.columns: tuple[str, ...] = tuple(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def row(self, index: int) -> dict[str, Any]:
        return {name: self._table.column(name)[index].as_py() for name in self.columns}

    def values(self, column: str) -> list[Any]:
        """All values of a column."""
        values: list[Any] = self._table.column(column).to_pylist()
        return values


class RenamedRows:
    """Rows with other names for some of their columns."""

    def __init__(self, rows: RowList, names: Mapping[str, str]):
        self._rows = rows
        self._names = dict(names)
        self.columns: tuple[str, ...] = tuple(self._names.get(name, name) for name in rows.columns)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> dict[str, Any]:
        return {self._names.get(name, name): value for name, value in self._rows.row(index).items()}


class SequenceRows:
    """Rows of a sequence of dictionaries: a list, or a Hugging Face dataset."""

    def __init__(self, sequence: Any):
        self._sequence = sequence
        names = getattr(sequence, "column_names", None)
        if names is None:
            # Rows that are all here may differ; of others only the first is asked for.
            looked_at = (
                sequence if isinstance(sequence, (list, tuple)) else [sequence[0]] * bool(len(sequence))
            )
            names = dict.fromkeys(chain.from_iterable(looked_at))
        self.columns: tuple[str, ...] = tuple(names)

    def __len__(self) -> int:
        return len(self._sequence)

    def row(self, index: int) -> dict[str, Any]:
        return dict(self._sequence[index])


def column_values(rows: RowList, column: str) -> Sequence[Any]:
    """All values of one column, as quickly as the list allows."""
    values = getattr(rows, "values", None)
    if values is not None:
        return list(values(column))
    return [rows.row(index).get(column) for index in range(len(rows))]

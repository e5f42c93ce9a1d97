"""A list in memory in, rows by number out. Called by ``lists``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from img2dataset.errors import InputError
from img2dataset.training.data.packed_rows import PackedRows, is_plain
from img2dataset.training.data.row_lists import ArrowRows, RowList, SequenceRows
from img2dataset.training.data.splits import chosen_split, refuse_split
from img2dataset.training.load.captions import is_missing

if TYPE_CHECKING:
    import pyarrow as pa


def rows_in_memory(source: Any, split: str | None = None) -> RowList:
    """The rows of what is in memory.

    Args:
        source: a sequence of dictionaries, an Arrow table, a data frame of pandas or polars, a dataset of
            Hugging Face, or a dictionary of these by split, as its ``DatasetDict`` is.
        split: which of that; None: the only one, or "train".

    Raises:
        InputError: it is none of these, or has no such split.
    """
    if _is_of_splits(source):
        return rows_in_memory(source[chosen_split(source, split, f"the {type(source).__name__}")])
    refuse_split(split, f"a {type(source).__name__}")
    if type(source).__name__ == "RecordBatch" and hasattr(source, "schema"):
        import pyarrow as pa

        source = pa.Table.from_batches([source])
    if hasattr(source, "num_rows") and hasattr(source, "combine_chunks"):
        _refuse_same_names(source.column_names, "table")
        return ArrowRows(source)
    if type(source).__name__ == "LazyFrame" and hasattr(source, "collect"):
        raise InputError(f"a {type(source).__name__} has no rows yet; give what its collect() returns")
    if _is_frame(source):
        _refuse_same_names([str(name) for name in source.columns], "data frame")
        return _rows_of_frame(source)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, Mapping):
        if len(source) and not isinstance(source[0], Mapping):
            raise InputError(
                f"the first row of the list is a {type(source[0]).__name__}; rows are dictionaries"
            )
        if isinstance(source, (list, tuple)):
            for number, row in enumerate(source):
                if not isinstance(row, Mapping):
                    raise InputError(
                        f"row {number} of the list is a {type(row).__name__}; rows are dictionaries"
                    )
            if all(map(is_plain, source)):
                return PackedRows(source)
        return SequenceRows(source)
    if hasattr(source, "column_names") and hasattr(source, "__iter__"):
        raise InputError(
            f"a {type(source).__name__} has no rows by number; load the dataset with streaming=False"
        )
    raise InputError(
        f"a list cannot be a {type(source).__name__}; give a path, or a sequence of dictionaries"
    )


def _is_of_splits(source: Any) -> bool:
    """Whether it is lists by name, and not one list by columns: these are no rows of dictionaries."""
    if not isinstance(source, Mapping) or not source:
        return False
    return all(_has_columns(each) or _is_rows(each) for each in source.values())


def _has_columns(value: Any) -> bool:
    return _is_frame(value) or hasattr(value, "column_names")


def _is_rows(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and isinstance(value[0], Mapping)


def _is_frame(source: Any) -> bool:
    return type(source).__module__.partition(".")[0] in ("pandas", "polars") and hasattr(source, "columns")


def _rows_of_frame(frame: Any) -> RowList:
    """The rows of a data frame; what is missing in it (NaN, NaT) is None."""
    import pyarrow as pa

    try:
        return ArrowRows(_table_of_frame(frame))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # Pictures, or values of several types in one column: as they are.
        records = frame.to_dicts() if hasattr(frame, "to_dicts") else frame.to_dict("records")
        return rows_in_memory(
            [{str(name): _plain_cell(value) for name, value in record.items()} for record in records]
        )


def _table_of_frame(frame: Any) -> pa.Table:
    import pyarrow as pa

    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return table.rename_columns([str(name) for name in frame.columns])


def _plain_cell(value: Any) -> Any:
    """A cell as a row has it; pandas has NumPy's arrays where Arrow has lists."""
    if is_missing(value):
        return None
    is_list = type(value).__name__ == "ndarray" and value.ndim == 1 and value.dtype.kind in "OUS"
    return value.tolist() if is_list else value


def _refuse_same_names(names: Sequence[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"the {what} has {names.count(twice)} columns named {twice!r}; rename all but one")

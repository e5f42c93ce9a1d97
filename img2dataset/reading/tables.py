"""Rows or columns as they stand in a list → an Arrow table. Called by the formats, for ``read_table``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.reading.columns import ARROW_ERRORS, json_text, string_array
from img2dataset.reading.records import Record
from img2dataset.reading.rows import Warnings
from img2dataset.reading.value_columns import inferred_array


def objects_of(records: Iterable[Record], where: str, warnings: Warnings) -> Iterator[Mapping[str, Any]]:
    """Rows that are Python objects; one that is none keeps its number and has no values.

    Raises:
        InputError: there are rows, and none is an object with values.
    """
    count, has_values = 0, False
    for count, record in enumerate(records, 1):
        if record is None:
            warnings.once("row", where, f"row {count} of {where} is no object, and has no values (said once)")
        has_values = has_values or bool(record)
        yield record or {}
    if count and not has_values:
        raise InputError(f"none of the {count} rows of {where} is an object with values")


def table_of_records(records: Iterable[Record], where: str, warnings: Warnings) -> pa.Table:
    """Rows that are Python objects; one that is none keeps its number and has nothing but nulls.

    Raises:
        InputError: there are rows, and none is an object.
    """
    columns: dict[str, list[Any]] = {}
    for count, record in enumerate(objects_of(records, where, warnings), 1):
        for name in record:
            if name not in columns:
                columns[name] = [None] * (count - 1)
        for name, values in columns.items():
            values.append(record.get(name))
    return pa.table({name: array_of(values) for name, values in columns.items()})


def array_of(values: Sequence[Any]) -> Any:
    """Values as an array of the type that Arrow infers.

    Values of several types are kept as text, those that are not strings as JSON; but a string in some rows
    and a list of strings in others is a list of one string.
    """
    try:
        return inferred_array(values)
    except ARROW_ERRORS:
        pass
    if all(value is None or isinstance(value, (str, list)) for value in values):
        try:
            return inferred_array([[value] if isinstance(value, str) else value for value in values])
        except ARROW_ERRORS:
            pass
    return string_array(
        [value if value is None or isinstance(value, str) else json_text(value) for value in values]
    )

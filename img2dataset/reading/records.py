"""Rows that are Python objects (json, jsonl, iterables) → the columns of a shard."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from img2dataset.errors import InputError
from img2dataset.failures import ROW_NOT_AN_OBJECT
from img2dataset.reading.columns import (
    SelectedColumn,
    assemble,
    caption_array_of_values,
    caption_text,
    check_columns,
    string_array,
    url_array_of_values,
)
from img2dataset.reading.places import types_as_text, types_of_text
from img2dataset.reading.rows import BuiltRows, Warnings
from img2dataset.reading.value_columns import BoxColumn, ValueColumn
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN

Record = Mapping[str, Any] | None  # None: the row is not an object


class RecordColumns:
    """The wanted columns of one list of objects, with their types once ``choose_types`` has seen its top."""

    def __init__(self, columns: Sequence[SelectedColumn], where: str, warnings: Warnings) -> None:
        self.columns = columns
        self.where = where
        self.typed = {
            column.name: (BoxColumn if column.name == BBOX_COLUMN else ValueColumn)(
                column.source, where, warnings
            )
            for column in columns
            if column.name not in ("url", "caption", EXPECTED_HASH_COLUMN)
        }
        self.has_types = False

    def missing(self, records: Sequence[Record]) -> set[str]:
        """The wanted columns that none of these records has."""
        present = {name for record in records if record is not None for name in record}
        return {column.source for column in self.columns} - present

    def choose_types(self, records: Sequence[Record]) -> None:
        """Check the columns and take their types from the first records; later calls change nothing."""
        if self.has_types:
            return
        present: dict[str, None] = {}
        for record in records:
            if record is not None:
                present.update(dict.fromkeys(record))
        if not present and not any(record is not None for record in records):
            raise InputError(f"none of the first {len(records)} rows of {self.where} is a JSON object")
        check_columns(self.columns, list(present), self.where)
        for column in self.columns:
            if column.name in self.typed:
                self.typed[column.name].choose_type(values_of(records, column.source))
        self.has_types = True

    def types_as_text(self) -> str:
        """The types that were chosen, for ``take_types``."""
        return types_as_text({name: column.type for name, column in self.typed.items()})

    def take_types(self, text: str) -> None:
        """Take the types that another object has chosen for the same list."""
        for name, kind in types_of_text(text).items():
            self.typed[name].type = kind
        self.has_types = True

    def build(self, records: Sequence[Record], first_row: int) -> BuiltRows:
        invalid_urls = {index: ROW_NOT_AN_OBJECT for index, record in enumerate(records) if record is None}
        arrays = []
        for column in self.columns:
            values = values_of(records, column.source)
            if column.name == "url":
                arrays.append(url_array_of_values(values, invalid_urls))
            elif column.name == "caption":
                arrays.append(caption_array_of_values(values))
            elif column.name == EXPECTED_HASH_COLUMN:
                arrays.append(string_array([caption_text(value) for value in values]))
            else:
                arrays.append(self.typed[column.name].array(values, first_row))
        return assemble(self.columns, arrays, invalid_urls)


def values_of(records: Sequence[Record], name: str) -> list[Any]:
    return [None if record is None else record.get(name) for record in records]


class RecordRows:
    """Items that ``parse`` turns into records only for shards that are wanted."""

    def __init__(
        self,
        items: Sequence[Any],
        first_row: int,
        columns: RecordColumns,
        parse: Callable[[Any], Record],
    ) -> None:
        self.items = items
        self.first_row = first_row
        self.columns = columns
        self.parse = parse

    @property
    def count(self) -> int:
        return len(self.items)

    def build(self, start: int, stop: int) -> BuiltRows:
        records = [self.parse(item) for item in self.items[start:stop]]
        return self.columns.build(records, self.first_row + start)

    def choose_types(self) -> None:
        if not self.columns.has_types:
            self.columns.choose_types([self.parse(item) for item in self.items])


def parsed_line(line: str) -> Record:
    """One line of jsonl. Python's parser, a line at a time, keeps one bad line one bad row."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_record(value: Any) -> Record:
    return value if isinstance(value, Mapping) else None

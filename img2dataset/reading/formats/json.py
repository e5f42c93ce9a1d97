"""json: one document of rows.

The only format that needs memory in proportion to its file: about six times its size while it is being read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.columns import SelectedColumn
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.records import Record, RecordColumns, RecordRows, as_record
from img2dataset.reading.rows import PendingRows, RowSource, Warnings
from img2dataset.reading.tables import table_of_records
from img2dataset.reading.text import whole_text


class Format(ListFormat):
    compressible = True
    read_whole = True

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return JsonSource(file, options, columns, warnings)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        return table_of_records(self.objects(file, options, warnings), file.path, warnings)

    def objects(self, file: ListFile, options: InputOptions, warnings: Warnings) -> list[Record]:
        return records_of(parsed_document(file, options), file.path)


class JsonSource:
    """One document: by columns, as pandas writes it or with lists, or by records."""

    def __init__(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> None:
        self.file = file
        self.options = options
        self.columns = RecordColumns(columns, file.path, warnings)
        self._rows: int | None = None
        self._kept: list[Record] | None = None

    def row_count(self) -> int | None:
        return self._rows

    def pending(self) -> Iterator[PendingRows]:
        # The document that was parsed to check the list is used for the first pass, then let go.
        records = self._kept
        self._kept = None
        if records is None:
            records = records_of(parsed_document(self.file, self.options), self.file.path)
            if self._rows is None:
                self._kept = records
        self._rows = len(records)
        if records:
            rows = RecordRows(records, 0, self.columns, as_record)
            rows.choose_types()
            yield rows


def parsed_document(file: ListFile, options: InputOptions) -> Any:
    content = whole_text(file, options)
    if not content.strip():
        return []
    try:
        return json.loads(content)
    except ValueError as error:
        reason = str(error)
        if reason.startswith("Extra data"):
            reason += "; for one object a line use input_format jsonl"
        raise InputError(f"{file.path} is not one JSON document: {reason}") from error
    except RecursionError as error:
        raise InputError(f"{file.path} is not a list of rows: it is nested too deeply") from error


def records_of(document: Any, where: str) -> list[Record]:
    """A document → its rows.

    ``[{…}, …]`` by records; ``{"url": {"0": …}}`` by columns and index; ``{"url": […]}`` by columns.
    What is neither a dictionary nor a list of a document's top level (a title, a version) is no column.
    """
    if isinstance(document, list):
        return [as_record(item) for item in document]
    if not isinstance(document, Mapping):
        raise InputError(f"{where} holds one {type(document).__name__}, not a JSON document of rows")
    by_index = {name: values for name, values in document.items() if isinstance(values, Mapping)}
    by_position = {name: values for name, values in document.items() if isinstance(values, list)}
    if by_position:
        lengths = {name: len(values) for name, values in by_position.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{where}: columns of different lengths: {lengths}")
        return [dict(zip(by_position, row, strict=True)) for row in zip(*by_position.values(), strict=True)]
    if document and not by_index:
        raise InputError(f"{where} holds one object, not a list of rows; its keys are: {', '.join(document)}")
    index = dict.fromkeys(key for values in by_index.values() for key in values)
    return [{name: values.get(key) for name, values in by_index.items()} for key in index]

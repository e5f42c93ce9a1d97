"""json and jsonl lists.

jsonl is read a line at a time. json is one document, and the only format that needs memory in
proportion to its file: about six times its size while it is being read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from img2dataset.errors import InputError
from img2dataset.reading.columns import SelectedColumn
from img2dataset.reading.files import ListFile
from img2dataset.reading.records import Record, RecordColumns, RecordRows, as_record, parsed_line
from img2dataset.reading.rows import PendingRows, Warnings
from img2dataset.reading.settings import ReadSettings
from img2dataset.reading.text import text_blocks, whole_text


class JsonLinesSource:
    """One object a line; a line that is none is a row that failed."""

    def __init__(
        self, file: ListFile, settings: ReadSettings, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> None:
        self.file = file
        self.settings = settings
        self.columns = RecordColumns(columns, file.path, warnings)

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[PendingRows]:
        first_row = 0
        for block in self._blocks():
            # Only LF ends a line: JSON may hold the other line ends as white space.
            lines = [line for line in block.split("\n") if line and not line.isspace()]
            if lines:
                rows = RecordRows(lines, first_row, self.columns, parsed_line)
                if not self.columns.settled:
                    self._settle([parsed_line(line) for line in lines])
                yield rows
                first_row += len(lines)

    def _blocks(self) -> Iterator[str]:
        return text_blocks(self.file, self.settings.input_format, encoding=self.settings.encoding)

    def _settle(self, records: list[Record]) -> None:
        """Take the columns of the first rows; those that they lack from where they first appear."""
        missing = self.columns.missing(records)
        if missing and not self.file.is_pipe:
            for block in self._blocks():
                lines = [line for line in block.split("\n") if any(f'"{name}"' in line for name in missing)]
                found = [record for line in lines if (record := parsed_line(line)) is not None]
                records = [*records, *(record for record in found if missing & record.keys())]
                missing = self.columns.missing(records)
                if not missing:
                    break
        self.columns.settle(records)


class JsonSource:
    """One document: by columns, as pandas writes it or with lists, or by records."""

    def __init__(
        self, file: ListFile, settings: ReadSettings, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> None:
        self.file = file
        self.settings = settings
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
            records = records_of(parsed_document(self.file, self.settings), self.file.path)
            if self._rows is None:
                self._kept = records
        self._rows = len(records)
        if records:
            rows = RecordRows(records, 0, self.columns, as_record)
            rows.settle()
            yield rows


def parsed_document(file: ListFile, settings: ReadSettings) -> Any:
    content = whole_text(file, settings.input_format, settings.encoding)
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
    by_place = {name: values for name, values in document.items() if isinstance(values, list)}
    if by_place:
        lengths = {name: len(values) for name, values in by_place.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{where}: columns of different lengths: {lengths}")
        return [dict(zip(by_place, row, strict=True)) for row in zip(*by_place.values(), strict=True)]
    if document and not by_index:
        raise InputError(f"{where} holds one object, not a list of rows; its keys are: {', '.join(document)}")
    index = dict.fromkeys(key for values in by_index.values() for key in values)
    return [{name: values.get(key) for name, values in by_index.items()} for key in index]

"""jsonl: one object a line, read a line at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from img2dataset.options import InputOptions
from img2dataset.reading.columns import SelectedColumn
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.places import Hint, Place
from img2dataset.reading.records import Record, RecordColumns, RecordRows, parsed_line
from img2dataset.reading.rows import PendingRows, RowSource, Warnings
from img2dataset.reading.sniffing import JSON_DOCUMENT
from img2dataset.reading.tables import table_of_records
from img2dataset.reading.text import text_blocks
from img2dataset.reading.text_places import LF, PlacedRows, bytes_of_places, has_places, placed_lines, text_at
from img2dataset.types import ShardSpec


class Format(ListFormat):
    compressible = True

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return JsonLinesSource(file, options, columns, warnings)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        return table_of_records(self.objects(file, options, warnings), file.path, warnings)

    def objects(self, file: ListFile, options: InputOptions, warnings: Warnings) -> Iterator[Record]:
        return map(
            parsed_line,
            (line for block in text_blocks(file, options, JSON_DOCUMENT) for line in _lines(block)),
        )


class JsonLinesSource:
    """One object a line; a line that is none is a row that failed."""

    def __init__(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> None:
        self.file = file
        self.options = options
        self.columns = RecordColumns(columns, file.path, warnings)

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[PendingRows]:
        for rows in self._rows_of(self._blocks(), 0):
            if not self.columns.has_types:
                self._choose_types([parsed_line(line) for line in rows.items])
            yield rows

    def can_be_entered(self) -> bool:
        return has_places(self.file, self.options)

    def places(self) -> Iterator[PlacedRows]:
        if not self.columns.has_types:
            next(self.pending(), None)
        yield from placed_lines(self.file, self.options, JSON_DOCUMENT, bytes([LF]))

    def hint(self, places: Sequence[Place]) -> Hint:
        return {"bytes": bytes_of_places(places), "types": self.columns.types_as_text()}

    def rows_at(self, spec: ShardSpec) -> Iterator[PendingRows]:
        self.columns.take_types(spec.hint["types"])
        return self._rows_of(text_at(self.file, spec.hint), spec.first_row)

    def _rows_of(self, blocks: Iterator[str], first_row: int) -> Iterator[RecordRows]:
        for block in blocks:
            lines = _lines(block)
            if lines:
                yield RecordRows(lines, first_row, self.columns, parsed_line)
                first_row += len(lines)

    def _blocks(self) -> Iterator[str]:
        return text_blocks(self.file, self.options, JSON_DOCUMENT)

    def _choose_types(self, records: list[Record]) -> None:
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
        self.columns.choose_types(records)


def _lines(block: str) -> list[str]:
    """The lines that are rows. Only LF ends one: JSON may hold the other line ends as white space."""
    return [line for line in block.split("\n") if line and not line.isspace()]

"""What csv and tsv have in common: a header, and rows of fields that become columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pyarrow as pa

from img2dataset.counted import counted
from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.columns import (
    SelectedColumn,
    assemble,
    check_columns,
    string_array,
    without_blanks,
)
from img2dataset.reading.delimited_places import DelimitedPlaces
from img2dataset.reading.delimited_rows import Dialect, Fields, UnpairedQuote, delimited_rows
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.places import Hint, NotThere, Place, types_as_text, types_of_text
from img2dataset.reading.rows import BuiltRows, RowSource, Warnings
from img2dataset.reading.sniffing import ANY_JSON
from img2dataset.reading.text import text_blocks
from img2dataset.reading.text_columns import TextColumn
from img2dataset.reading.text_places import PlacedRows, bytes_of_places, has_places, text_at
from img2dataset.reading.value_columns import BoxColumn
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN, ShardSpec


class DelimitedFormat(ListFormat):
    """Fields separated by ``delimiter``, unless ``--input_delimiter`` gives another."""

    compressible = True
    delimiter: ClassVar[str]

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return DelimitedSource(file, options, columns, warnings, self._dialect(options))

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        source = DelimitedSource(file, options, (), warnings, self._dialect(options))
        values: dict[str, list[str | None]] = {}
        for rows in source.pending():
            for name, column in source.positions.items():
                values.setdefault(name, []).extend(row[column] for row in rows.rows)
        named = [SelectedColumn(name, name, "all columns are read") for name in source.positions if name]
        check_columns(named, source.names, file.path)
        return pa.table({name: string_array(values.get(name, [])) for name in source.positions})

    def _dialect(self, options: InputOptions) -> Dialect:
        delimiter = options.input_delimiter or self.delimiter
        return Dialect(delimiter, options.input_quote, options.input_escape)


class DelimitedRows:
    def __init__(self, rows: list[Fields], first_row: int, source: DelimitedSource) -> None:
        self.rows = rows
        self.first_row = first_row
        self.source = source

    @property
    def count(self) -> int:
        return len(self.rows)

    def build(self, start: int, stop: int) -> BuiltRows:
        rows = self.rows[start:stop]
        arrays = []
        for column in self.source.columns:
            position = self.source.positions[column.source]
            values = [row[position] for row in rows]
            if column.name == "url":
                arrays.append(without_blanks(string_array(values)))
            elif column.name in ("caption", EXPECTED_HASH_COLUMN):
                arrays.append(string_array(values))
            else:
                arrays.append(self.source.typed[column.name].array(values, self.first_row + start))
        return assemble(self.source.columns, arrays, {})


class DelimitedSource:
    """One csv or tsv file."""

    def __init__(
        self,
        file: ListFile,
        options: InputOptions,
        columns: Sequence[SelectedColumn],
        warnings: Warnings,
        dialect: Dialect,
    ) -> None:
        self.file = file
        self.options = options
        self.dialect = dialect
        self.columns = columns
        self.warnings = warnings
        self.names: list[str] = []
        self.positions: dict[str, int] = {}
        self.width = 0
        self.typed: dict[str, TextColumn | BoxColumn] = {
            column.name: BoxColumn(column.source, file.path, warnings)
            if column.name == BBOX_COLUMN
            else TextColumn()
            for column in columns
            if column.name not in ("url", "caption", EXPECTED_HASH_COLUMN)
        }
        self._has_types = False

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[DelimitedRows]:
        return self._rows_of(self._batches(), 0)

    def _rows_of(self, batches: Iterator[list[Fields]], first_row: int) -> Iterator[DelimitedRows]:
        for rows in batches:
            self._even_out(rows, first_row)
            if not self._has_types:
                self._choose_types(rows)
            self._look_for_stray_quotes(rows, first_row)
            yield DelimitedRows(rows, first_row, self)
            first_row += len(rows)

    def can_be_entered(self) -> bool:
        return has_places(self.file, self.options)

    def places(self) -> Iterator[PlacedRows]:
        if not self.names or not self._has_types:
            next(self.pending(), None)
        yield from DelimitedPlaces(self.file, self.options, self.dialect).rows()

    def hint(self, places: Sequence[Place]) -> Hint:
        texts = {name: column for name, column in self.typed.items() if isinstance(column, TextColumn)}
        return {
            "bytes": bytes_of_places(places),
            "names": self.names,
            "types": types_as_text({name: column.type for name, column in texts.items()}),
            "empty_is_null": [name for name, column in texts.items() if column.empty_is_null],
        }

    def rows_at(self, spec: ShardSpec) -> Iterator[DelimitedRows]:
        self._take_header(spec.hint["names"])
        for name, kind in types_of_text(spec.hint["types"]).items():
            column = self.typed[name]
            column.type = kind
            if isinstance(column, TextColumn):
                column.empty_is_null = name in spec.hint["empty_is_null"]
        self._has_types = True
        batches = delimited_rows(text_at(self.file, spec.hint), self.file.path, self.dialect)
        filled = ([row for row in rows if row] for rows in batches)
        try:
            yield from self._rows_of(filled, spec.first_row)
        except UnpairedQuote as error:
            raise NotThere(error.what) from error

    def _choose_types(self, first_rows: list[Fields]) -> None:
        """Take the types of the additional columns from all of the file: a type that its first rows suggest
        would cost the values that do not fit it later. What cannot be read twice is kept as text.
        """
        typed = [column for column in self.columns if column.name in self.typed]
        if typed and not self.file.is_pipe:
            with contextlib.suppress(InputError):  # where the file breaks is told when it is read
                first_row = 0
                for rows in self._batches():
                    self._even_out(rows, first_row)
                    first_row += len(rows)
                    for column in typed:
                        position = self.positions[column.source]
                        self.typed[column.name].look_at([row[position] for row in rows])
        for column in typed:
            self.typed[column.name].choose_type([row[self.positions[column.source]] for row in first_rows])
        self._has_types = True

    def _look_for_stray_quotes(self, rows: list[Fields], first_row: int) -> None:
        """Warn of what csv reads without an error, and nobody can have meant."""
        if self.options.input_quote is None:
            return
        for index, row in enumerate(rows):
            for field in row:
                if field is None or ("\n" not in field and "\r" not in field and "\\" not in field):
                    continue
                row_name = f"row {first_row + index + 1} of {self.file.path}"
                lines = field.splitlines()[1:]
                if any(line.count(self.dialect.delimiter) >= self.width - 1 > 0 for line in lines):
                    self.warnings.once(
                        "swallowed",
                        self.file.path,
                        f"{row_name} has lines within quotes that look like rows of their own: a quote may"
                        " have no partner. If quotes are plain text in this list, give --input_quote None"
                        " (said once a file)",
                    )
                if self.options.input_escape is None and field.endswith("\\"):
                    self.warnings.once(
                        "escaped",
                        self.file.path,
                        f"{row_name} has a backslash before a quote, which csv takes for text. If backslashes"
                        " make quotes plain text in this list, give --input_escape '\\' (said once a file)",
                    )

    def _batches(self) -> Iterator[list[Fields]]:
        """Rows with something in them, after the header; those before a break come before its error."""
        with_header = self.options.input_columns is None
        if not with_header:
            self._take_header(list(self.options.input_columns or ()))
        blocks = text_blocks(self.file, self.options, ANY_JSON)
        for rows in delimited_rows(blocks, self.file.path, self.dialect):
            rows = [row for row in rows if row]
            if with_header and rows:
                self._take_header(rows.pop(0))
                with_header = False
            if rows:
                yield rows

    def _take_header(self, names: list[str]) -> None:
        check_columns(self.columns, names, self.file.path)
        self.names = names
        self.width = len(names)
        self.positions = {name: position for position, name in enumerate(names)}

    def _even_out(self, rows: list[Fields], first_row: int) -> None:
        if all(len(row) == self.width for row in rows):
            return
        for index, row in enumerate(rows):
            if len(row) == self.width:
                continue
            self.warnings.once(
                "length",
                self.file.path,
                f"row {first_row + index + 1} of {self.file.path} has {counted(len(row), 'field')},"
                f" not {self.width}: missing ones become null, further ones are dropped (said once a file)",
            )
            row.extend([None] * (self.width - len(row)))

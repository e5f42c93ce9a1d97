"""What csv and tsv have in common: rows of fields.

By Python's csv module, which parses 0.7 million rows a second and loses none.

Arrow's csv reader is six times as fast, but it can only skip a row of another length or stop at it, and
stops at a value of another type. What it would save is 1.2 µs a row, of a budget of 500.
"""

from __future__ import annotations

import contextlib
import csv
import io
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, ClassVar

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.columns import (
    SelectedColumn,
    assemble,
    check_columns,
    string_array,
    without_blanks,
)
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.rows import BuiltRows, RowSource, Warnings
from img2dataset.reading.sniffing import ANY_JSON
from img2dataset.reading.text import text_blocks
from img2dataset.reading.text_columns import TextColumn
from img2dataset.reading.value_columns import BoxColumn
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN

BATCH_ROWS = 8192
BATCH_CHARACTERS = 1 << 20
MAX_FIELD_CHARACTERS = 16 << 20
# Rows taken at a time between two looks at how much has been read.
STEP_ROWS = 32

Fields = list[Any]  # of str, or None where a row is short


class DelimitedFormat(ListFormat):
    """Fields separated by ``delimiter``, unless ``--input_delimiter`` gives another."""

    compressible = True
    delimiter: ClassVar[str]

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return DelimitedSource(file, options, columns, warnings, options.input_delimiter or self.delimiter)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        source = DelimitedSource(file, options, (), warnings, options.input_delimiter or self.delimiter)
        values: dict[str, list[str | None]] = {}
        for rows in source.pending():
            for name, column in source.positions.items():
                values.setdefault(name, []).extend(row[column] for row in rows.rows)
        named = [SelectedColumn(name, name, "all columns are read") for name in source.positions if name]
        check_columns(named, source.names, file.path)
        return pa.table({name: string_array(values.get(name, [])) for name in source.positions})


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
        delimiter: str,
    ) -> None:
        self.file = file
        self.options = options
        self.delimiter = delimiter
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
        first_row = 0
        for rows in self._batches():
            self._even_out(rows, first_row)
            if not self._has_types:
                self._choose_types(rows)
            self._look_for_stray_quotes(rows, first_row)
            yield DelimitedRows(rows, first_row, self)
            first_row += len(rows)

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
                if any(line.count(self.delimiter) >= self.width - 1 > 0 for line in lines):
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
        for rows in delimited_rows(self.file, self.options, self.delimiter):
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
                f"row {first_row + index + 1} of {self.file.path} has {len(row)} fields, not {self.width}: "
                "missing ones become null, further ones are dropped (said once a file)",
            )
            row.extend([None] * (self.width - len(row)))


class _CountedBlocks:
    """Blocks as line iterators for the csv module, counting the characters it has been given."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self.blocks = blocks
        self.characters = 0

    def __iter__(self) -> Iterator[io.StringIO]:
        for block in self.blocks:
            self.characters += len(block)
            # Python 3.10's csv refuses NUL.
            yield io.StringIO(block.replace("\0", "\ufffd"), newline="")


def delimited_rows(file: ListFile, options: InputOptions, delimiter: str) -> Iterator[list[Fields]]:
    """Batches of parsed rows. A batch ends with the block in which it reaches its size.

    Raises:
        InputError: a field over ``MAX_FIELD_CHARACTERS``, or a quote that is open at the end of the
            file: both are what an unpaired quote looks like. Rows before it come first.
    """
    quote, escape = options.input_quote, options.input_escape
    counted = _CountedBlocks(text_blocks(file, options, ANY_JSON))
    # A last line of our own: if it does not come back as a row, it stands inside an open quote.
    end = uuid.uuid4().hex
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    try:
        reader = csv.reader(
            chain(chain.from_iterable(counted), [end]),
            delimiter=delimiter,
            quotechar=quote or '"',
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            escapechar=escape,
            doublequote=escape is None,
        )
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--input_delimiter {delimiter!r}, --input_quote {quote!r} and --input_escape"
            f" {escape!r} must be single characters that differ: {error}"
        ) from error
    failure: InputError | None = None
    ended = False
    while not ended:
        rows: list[Fields] = []
        before = counted.characters
        while not ended and len(rows) < BATCH_ROWS and counted.characters - before <= BATCH_CHARACTERS:
            failure = _take(reader, rows, file.path)
            if failure is None and rows[-1] and end in rows[-1][-1]:
                ended = True
                if rows.pop() != [end]:
                    failure = _unpaired(file.path, reader.line_num, "a quote is still open at the end")
            ended = ended or failure is not None
        if rows:
            yield rows
    if failure is not None:
        raise failure


def _take(reader: Iterator[Fields], rows: list[Fields], path: str) -> InputError | None:
    """The next few rows into ``rows``; those before an error stay in it, and the error is returned."""
    try:
        rows.extend(islice(reader, STEP_ROWS))
    except InputError as error:
        return error
    except csv.Error as error:
        return _unpaired(path, getattr(reader, "line_num", 0), str(error))
    return None


def _unpaired(path: str, line: int, what: str) -> InputError:
    return InputError(
        f"{path}, before line {line}: {what}; the file is cut off, or a quote in it has no partner. "
        "If quotes are plain text in this list, give --input_quote None"
    )

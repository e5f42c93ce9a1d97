"""Where the rows of a csv or tsv lie. Called by its source.

A line end within quotes ends no row. Which line ends do is seen by counting quotes, in all of a block at
once, if each stands where quoting puts it. A block in which one does not is parsed by the csv module, and so
is what is wrong with a file.
"""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.delimited_rows import (
    MAX_FIELD_CHARACTERS,
    Dialect,
    UnpairedQuote,
    csv_reader,
    without_nul,
)
from img2dataset.reading.files import ListFile
from img2dataset.reading.sniffing import ANY_JSON
from img2dataset.reading.text import byte_blocks, byte_chunks
from img2dataset.reading.text_places import CR, LF, Numbers, PlacedRows, ends_of_lines, text_begin

BOTH = bytes([LF, CR])


class DelimitedPlaces:
    """The places of one file's rows, for one pass."""

    def __init__(self, file: ListFile, options: InputOptions, dialect: Dialect) -> None:
        self._file = file
        self._options = options
        self._dialect = dialect
        self._has_header = options.input_columns is None
        self._row = 0
        # Where the row behind the last one begins, and where what is looked at begins: a byte-order mark
        # lies between them.
        self._begin = 0
        self._position = 0

    def rows(self) -> Iterator[PlacedRows]:
        """Where the rows lie, in order.

        Raises:
            InputError: as ``delimited_rows``, after the same rows.
        """
        self._position = text_begin(self._file)
        failure: InputError | None = None
        waiting: list[bytes] = []
        # A row that has not ended is looked at again when twice as much of it is there, so that a long one is
        # looked at a few times.
        size = wanted = 0
        blocks = byte_blocks(self._file, self._options, ANY_JSON)
        while failure is None:
            try:
                block = next(blocks, None)
            except InputError as error:
                failure, block = error, b""
            if block is None:
                break
            waiting.append(block)
            size += len(block)
            if size < wanted and failure is None:
                continue
            rest, placed, found = self._cut(b"".join(waiting), is_end=False)
            yield from placed
            failure = found or failure
            waiting, size, wanted = [rest], len(rest), 2 * len(rest)
        if failure is None:
            _, placed, failure = self._cut(b"".join(waiting), is_end=True)
            yield from placed
        if failure is not None:
            raise failure

    def _cut(self, text: bytes, is_end: bool) -> tuple[bytes, list[PlacedRows], InputError | None]:
        """What is left of ``text`` behind its last row, its rows, and what is wrong behind them."""
        failure: InputError | None = None
        found = row_ends(text, self._dialect, is_end)
        if found is None:
            found, failure = self._row_ends_by_parsing(text, is_end)
        if not len(found.ends):
            return text, [], failure
        rest = text[found.ends[-1] :]
        ends = (found.ends + self._position)[found.filled]
        self._position += int(found.ends[-1])
        if self._has_header and len(ends):
            self._begin, ends = int(ends[0]), ends[1:]
            self._has_header = False
        if not len(ends):
            return rest, [], failure
        placed = PlacedRows(self._row, self._begin, ends)
        self._row += len(ends)
        self._begin = int(ends[-1])
        return rest, [placed], failure

    def _row_ends_by_parsing(self, text: bytes, is_end: bool) -> tuple[RowEnds, InputError | None]:
        """As ``row_ends``, for any text."""
        lines = text.splitlines(keepends=True)
        offsets = [0, *accumulate(map(len, lines))]
        decoded = (without_nul(line.decode("utf-8", "replace")) for line in lines)
        # As in ``delimited_rows``: a last line that does not come back as a row shows an open quote.
        end = uuid.uuid4().hex
        reader = csv_reader(chain(decoded, [end]), self._dialect)
        ends: list[int] = []
        filled: list[bool] = []
        row: list[Any] = []
        failure: InputError | None = None
        try:
            for row in reader:
                if reader.line_num <= len(lines):
                    ends.append(offsets[reader.line_num])
                    filled.append(bool(row))
        except csv.Error as error:
            failure = self._unpaired_quote(reader.line_num, str(error))
        else:
            if is_end and row != [end]:
                failure = self._unpaired_quote(reader.line_num, "a quote is still open at the end")
        return RowEnds(np.array(ends, np.int64), np.array(filled, bool)), failure

    def _unpaired_quote(self, line: int, what: str) -> InputError:
        """The error of ``delimited_rows``; ``line`` counts from where the text looked at begins."""
        left = self._position
        returned = False  # whether the piece before ended with CR: with LF it is one line end
        for piece in byte_chunks(self._file, self._options.input_format):
            piece = piece[:left]
            left -= len(piece)
            line += piece.count(b"\n") + piece.count(b"\r") - piece.count(b"\r\n")
            line -= int(returned and piece.startswith(b"\n"))
            returned = piece.endswith(b"\r")
            if not left:
                break
        return UnpairedQuote(self._file.path, line, what)


@dataclass(frozen=True, slots=True)
class RowEnds:
    """Where rows end, and which have something in them; the others are blank lines, and no rows."""

    ends: Numbers
    filled: Numbers


def row_ends(text: bytes, dialect: Dialect, is_end: bool) -> RowEnds | None:
    """Where the rows of ``text`` end; None if that cannot be told by counting quotes.

    Args:
        text: begins where a row does.
        dialect: how the rows are written.
        is_end: whether the file ends with it.
    """
    delimiter, quote, escape = dialect.delimiter, dialect.quote, dialect.escape
    named = [character for character in (delimiter, quote, escape) if character]
    if not all(map(_is_plain, named)) or len(set(named)) < len(named) or len(text) > MAX_FIELD_CHARACTERS:
        return None
    if escape and escape.encode() in text:
        return None
    codes = np.frombuffer(text, np.uint8)
    ends = ends_of_lines(text, codes, BOTH)
    if quote and quote.encode() in text:
        quotes = _quotes(codes, dialect)
        if quotes is None or (is_end and len(quotes) % 2):
            return None
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    if not len(ends):
        return RowEnds(ends, ends)
    first = codes[np.concatenate([[0], ends[:-1]])]
    return RowEnds(ends, (first != LF) & (first != CR))


def _quotes(codes: Numbers, dialect: Dialect) -> Numbers | None:
    """Where quotes stand that open, close, open, close…; None if one of them is plain text.

    A quote opens where a field begins. Behind one that closes, another opens the field again: that is a quote
    written twice. So every second one must stand there.
    """
    assert dialect.quote is not None
    quotes = np.flatnonzero(codes == ord(dialect.quote))
    opening = quotes[::2]
    before = codes[opening - 1]
    opens = (before == ord(dialect.delimiter)) | (before == LF) | (before == CR) | (opening == 0)
    if dialect.escape is None:
        opens |= (before == ord(dialect.quote)) & (opening > 0)
    return quotes if opens.all() else None


def _is_plain(character: str) -> bool:
    """Whether a character is one byte, wherever it stands."""
    return len(character) == 1 and (character == "\t" or " " <= character <= "~")

"""txt: one URL a line. Commas and quotes are plain text, blank lines are no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from img2dataset.options import InputOptions
from img2dataset.reading.columns import SelectedColumn, assemble, check_columns, selected_columns
from img2dataset.reading.files import ListFile
from img2dataset.reading.list_format import ListFormat
from img2dataset.reading.places import Hint, Place
from img2dataset.reading.rows import BuiltRows, RowSource, Warnings
from img2dataset.reading.sniffing import ANY_JSON
from img2dataset.reading.text import text_blocks, universal_lines
from img2dataset.reading.text_places import (
    CR,
    LF,
    PlacedRows,
    bytes_of_places,
    has_places,
    placed_lines,
    text_at,
)
from img2dataset.types import ShardSpec


class Format(ListFormat):
    compressible = True

    def select(self, options: InputOptions) -> tuple[SelectedColumn, ...]:
        """The URLs: a txt list has one column, whatever its name."""
        selected = selected_columns(options)
        others = [column for column in selected if column.name not in ("url", "caption")]
        check_columns(others, ["url"], "a txt list")
        return tuple(column for column in selected if column.name == "url")

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        if options.caption_col is not None:
            # 1.47.0 took the option without a word, and scripts give it; but nobody should miss it.
            warnings.once(
                "caption",
                options.caption_col,
                f'a txt list has no captions: caption_col "{options.caption_col}" has no effect; use a format'
                " with columns",
            )
        return LineSource(file, options, columns)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        urls = [url for rows in LineSource(file, options, ()).pending() for url in rows.urls]
        return pa.table({"url": pa.array(urls, pa.string())})


class LineRows:
    def __init__(self, urls: list[str], columns: Sequence[SelectedColumn]) -> None:
        self.urls = urls
        self.columns = columns

    @property
    def count(self) -> int:
        return len(self.urls)

    def build(self, start: int, stop: int) -> BuiltRows:
        return assemble(self.columns, [pa.array(self.urls[start:stop], pa.string())], {})


class LineSource:
    """``columns`` is the one column "url": a txt list has no other."""

    def __init__(self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn]) -> None:
        self.file = file
        self.options = options
        self.columns = columns

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[LineRows]:
        return self._rows_of(text_blocks(self.file, self.options, ANY_JSON))

    def can_be_entered(self) -> bool:
        return has_places(self.file, self.options)

    def places(self) -> Iterator[PlacedRows]:
        return placed_lines(self.file, self.options, ANY_JSON, bytes([LF, CR]))

    def hint(self, places: Sequence[Place]) -> Hint:
        return {"bytes": bytes_of_places(places)}

    def rows_at(self, spec: ShardSpec) -> Iterator[LineRows]:
        return self._rows_of(text_at(self.file, spec.hint))

    def _rows_of(self, blocks: Iterator[str]) -> Iterator[LineRows]:
        for block in blocks:
            urls = [url for line in universal_lines(block) if (url := line.strip())]
            if urls:
                yield LineRows(urls, self.columns)

"""txt: one URL a line. Commas and quotes are plain text, blank lines are no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from img2dataset.reading.columns import SelectedColumn, assemble
from img2dataset.reading.files import ListFile
from img2dataset.reading.rows import BuiltRows, PendingRows
from img2dataset.reading.settings import ReadSettings
from img2dataset.reading.text import text_blocks


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

    def __init__(self, file: ListFile, settings: ReadSettings, columns: Sequence[SelectedColumn]) -> None:
        self.file = file
        self.settings = settings
        self.columns = columns

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[PendingRows]:
        for block in text_blocks(self.file, self.settings.input_format, encoding=self.settings.encoding):
            urls = [url for line in universal_lines(block) if (url := line.strip())]
            if urls:
                yield LineRows(urls, self.columns)


def universal_lines(block: str) -> list[str]:
    """Lines ended by LF, CRLF or CR; not by the further line ends that ``str.splitlines`` knows."""
    if "\r" in block:
        block = block.replace("\r\n", "\n").replace("\r", "\n")
    return block.split("\n")

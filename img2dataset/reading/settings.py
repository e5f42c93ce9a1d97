"""What a list of URLs is and how it is to be read. Made by the api from the options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TEXT_FORMATS = ("txt", "csv", "tsv", "json", "jsonl")
INPUT_FORMATS = (*TEXT_FORMATS, *(f"{name}.gz" for name in TEXT_FORMATS), "parquet")


@dataclass(frozen=True)
class ReadSettings:
    """Where the list is, its format, and which of its columns are wanted.

    Args:
        url_list: path of a file, a folder or a glob, on any file system fsspec knows; or, from Python,
            an iterable of URLs or of dictionaries, or an Arrow table. A list in memory has no format:
            ``input_format`` and the three settings of csv do not apply to it.
        input_format: one of ``INPUT_FORMATS``.
        url_col: column of the URLs. A txt list or an iterable of strings has one column without a name,
            so there it is not looked up.
        caption_col: column of the captions, None for none.
        bbox_col: column of the boxes to blur; handed on as ``types.BBOX_COLUMN``.
        expected_hash_col: column of the hashes to check; handed on as ``types.EXPECTED_HASH_COLUMN``.
        additional_columns: further columns to carry, in this order, with their Arrow types.
        rows_per_shard: rows, at least 1.
        column_names: names of the columns of a csv or tsv without a header line.
        delimiter: one character; default a comma for csv, a tab for tsv.
        quote_character: one character; None makes quotes plain text.
        escape_character: one character, which makes a quote behind it plain text; None: there is none.
        encoding: of a text list; None for UTF-8, or UTF-16 and UTF-32 where the file begins with their mark.
    """

    url_list: Any
    input_format: str
    url_col: str = "url"
    caption_col: str | None = None
    bbox_col: str | None = None
    expected_hash_col: str | None = None
    additional_columns: tuple[str, ...] = ()
    rows_per_shard: int = 10000
    column_names: tuple[str, ...] | None = None
    delimiter: str | None = None
    quote_character: str | None = '"'
    escape_character: str | None = None
    encoding: str | None = None

    @property
    def text_format(self) -> str:
        """``input_format`` without ``.gz``."""
        return self.input_format.removesuffix(".gz")

    @property
    def compressed(self) -> bool:
        return self.input_format.endswith(".gz")

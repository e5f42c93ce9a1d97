"""Which columns of the input become which columns of a shard, and what URLs and captions turn into.

Every format comes here with its columns, as Arrow arrays (parquet, tables) or as Python values (the
rest), and gets back the arrays that ``types.Shard`` promises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from img2dataset.errors import InputError
from img2dataset.failures import URL_NOT_A_STRING, Failure
from img2dataset.options import InputOptions
from img2dataset.reading.rows import BuiltRows
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN

HIDDEN = (BBOX_COLUMN, EXPECTED_HASH_COLUMN)
ARROW_ERRORS = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    """One column of ``Shard.rows``: its name in the input, its name there, the option that asked."""

    source: str
    name: str
    option: str


def selected_columns(options: InputOptions) -> tuple[SelectedColumn, ...]:
    """The columns of a shard in their final order; InputError if two would bear one name."""
    additional = options.save_additional_columns or ()
    wanted = [SelectedColumn(name, name, "save_additional_columns") for name in additional]
    if options.caption_col is not None:
        wanted.append(SelectedColumn(options.caption_col, "caption", "caption_col"))
    wanted.append(SelectedColumn(options.url_col, "url", "url_col"))
    if options.bbox_col is not None:
        wanted.append(SelectedColumn(options.bbox_col, BBOX_COLUMN, "bbox_col"))
    if options.verify_hash is not None:
        wanted.append(SelectedColumn(options.verify_hash[0], EXPECTED_HASH_COLUMN, "verify_hash"))
    names = [column.name for column in wanted]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'two columns of the output would be named "{name}"; name each column once')
    return tuple(wanted)


def check_columns(columns: Sequence[SelectedColumn], present: Sequence[str], where: str) -> None:
    """InputError if a wanted column is missing from a list, or there twice."""
    for column in columns:
        times = present.count(column.source)
        if times == 0:
            shown = ", ".join(name if len(name) <= 60 else name[:57] + "..." for name in present[:50])
            raise InputError(
                f'{where} has no column "{column.source}" ({column.option}); its columns are: '
                f"{shown or 'none'}{_way_out(present)}"
            )
        if times > 1:
            raise InputError(
                f'{where} has {times} columns named "{column.source}" ({column.option}); rename all but one'
            )


def _way_out(present: Sequence[str]) -> str:
    """The option that is probably missing, if the names of the columns look like something else."""
    if len(present) == 1:
        for mark, shown in (("\t", "'\\t'"), (";", "';'"), ("|", "'|'"), (",", "','")):
            if mark in present[0]:
                return f"; if its fields are separated otherwise, give --input_delimiter {shown}"
    if any("://" in name for name in present):
        names = ",".join("url" if "://" in name else f"column{at}" for at, name in enumerate(present))
        return f"; if its first line is a row and no header, name the columns: --input_columns '[{names}]'"
    return ""


def assemble(
    columns: Sequence[SelectedColumn], arrays: Sequence[Any], invalid_urls: Mapping[int, Failure]
) -> BuiltRows:
    return BuiltRows(pa.table(list(arrays), names=[column.name for column in columns]), dict(invalid_urls))


# ---- Arrow arrays: parquet and tables ----


def build_from_table(columns: Sequence[SelectedColumn], table: pa.Table) -> BuiltRows:
    """``table`` with at least the wanted columns → rows under their final names and types."""
    invalid_urls: dict[int, Failure] = {}
    arrays = []
    for column in columns:
        values = table.column(column.source)
        if column.name == "url":
            values = url_array(values, invalid_urls)
        elif column.name == "caption":
            values = caption_array(values)
        arrays.append(values)
    return assemble(columns, arrays, invalid_urls)


def url_array(values: Any, invalid_urls: dict[int, Failure]) -> Any:
    """URLs of any Arrow type → strings; those that are neither text nor null go to ``invalid_urls``."""
    texts = text_array(values)
    if texts is None:
        for index, known in enumerate(values.is_valid().to_pylist()):
            if known:
                invalid_urls[index] = URL_NOT_A_STRING
        return pa.nulls(len(values), pa.string())
    return without_blanks(texts)


def caption_array(values: Any) -> Any:
    """Captions of any Arrow type → strings, null staying null."""
    texts = text_array(values)
    if texts is None:
        return pa.array([caption_text(value) for value in values.to_pylist()], pa.string())
    return texts


def text_array(values: Any) -> Any | None:
    """Strings of any width, dictionaries of them, or bytes holding UTF-8 → type string; else None."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if isinstance(kind, pa.BaseExtensionType):
        return text_array(pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return text_array(values.cast(kind.value_type))
    name = str(kind)
    if pa.types.is_null(kind) or name in ("large_string", "string_view"):
        return values.cast(pa.string())
    if name in ("binary", "large_binary", "binary_view") or pa.types.is_fixed_size_binary(kind):
        try:
            return values.cast(pa.string())
        except pa.ArrowException:
            return pa.array([caption_text(value) for value in values.to_pylist()], pa.string())
    return None


def without_blanks(texts: Any) -> Any:
    """Empty and white URLs are missing ones."""
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    if pc.any(blank).as_py():
        return pc.if_else(blank, pa.scalar(None, pa.string()), texts)
    return texts


# ---- Python values: csv, json, iterables ----


def url_array_of_values(values: Sequence[Any], invalid_urls: dict[int, Failure]) -> Any:
    """As ``url_array``, for Python values. Reasons already in ``invalid_urls`` stay."""
    if not all(value is None or isinstance(value, str) for value in values):
        for index, value in enumerate(values):
            if value is not None and not isinstance(value, (str, bytes)):
                invalid_urls.setdefault(index, URL_NOT_A_STRING)
        values = [caption_text(value) if isinstance(value, (str, bytes)) else None for value in values]
    return without_blanks(string_array(values))


def caption_array_of_values(values: Sequence[Any]) -> Any:
    if all(value is None or isinstance(value, str) for value in values):
        return string_array(values)
    return string_array([caption_text(value) for value in values])


def string_array(values: Sequence[str | None]) -> Any:
    """Strings → Arrow strings; lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array(
            [value if value is None else without_surrogates(value) for value in values], pa.string()
        )


def without_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def caption_text(value: Any) -> str | None:
    """A value as a caption file shows it: 1.5 → ``1.5``, True → ``True``, lists and structs as JSON.

    Not a number is how tables without nulls write that there is none.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple, dict)):
        return json_text(value)
    return str(value)


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=caption_text)

"""A list in a file, or in files of one format, in; rows by number out. Called by ``lists``.

The formats are those of downloads, read as a download reads them (``img2dataset.reading``). Rows are kept as
an Arrow table, or packed (``packed_rows``): forked workers share them, and a million rows take the memory of
their text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from img2dataset.counted import counted
from img2dataset.errors import InputError
from img2dataset.formats.tables import image_column
from img2dataset.reading import read_objects, read_table
from img2dataset.training.data.coco import coco_rows
from img2dataset.training.data.headers import clean_header, names_without_header
from img2dataset.training.data.packed_rows import PackedRows
from img2dataset.training.data.row_lists import ArrowRows, RowList

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("img2dataset")

# Formats whose fields are text.
DELIMITED = ("csv", "tsv")


def read_rows(path: Path, list_format: str, column_names: Sequence[str] | None = None) -> RowList:
    """The rows of a list.

    Args:
        path: a file, or a folder of them.
        list_format: an ``input_format`` of downloads.
        column_names: those of a csv or tsv that has no header; None: told from its first line.

    Raises:
        InputError: there is nothing, or it is not what it should be; names the file and the place.
    """
    if path.name.lower().endswith(".gz") and not list_format.endswith(".gz"):
        list_format += ".gz"
    plain = list_format.removesuffix(".gz")
    if plain in DELIMITED:
        return _delimited_rows(path, list_format, column_names)
    refuse_column_names(column_names, f"{str(path)!r}, whose format is {plain}")
    if plain == "json" and path.is_file():
        rows = coco_rows(str(path), list_format)
        if rows is not None:
            return PackedRows(rows)
    objects = read_objects(str(path), list_format)
    if objects is not None:
        packed = PackedRows(objects)
        if not len(packed):
            raise InputError(f"the list {str(path)!r} is empty; it has no rows")
        return packed
    table = read_table(str(path), list_format)
    if not table.num_columns:
        raise InputError(f"the list {str(path)!r} is empty; it has no rows")
    return rows_of_table(table, str(path))


def rows_of_table(table: pa.Table, where: str) -> RowList:
    """The rows of a table; those with an image, where ``download`` wrote images into it."""
    if image_column(table.schema) is None or not {"key", "status"}.issubset(table.column_names):
        return ArrowRows(table)
    import pyarrow.compute as pc

    kept = table.filter(pc.field("status") == "success")
    if kept.num_rows < table.num_rows:
        logger.warning(
            "%s of %s are left out: they have no image, as their error_message says",
            counted(table.num_rows - kept.num_rows, "row"),
            where,
        )
    return ArrowRows(kept)


def refuse_column_names(column_names: Sequence[str] | None, where: str) -> None:
    """Refuse names of columns for what names its own.

    Raises:
        InputError: there are some.
    """
    if column_names is not None:
        raise InputError(f"column_names is for a csv or tsv without a header, not for {where}")


def _delimited_rows(path: Path, list_format: str, column_names: Sequence[str] | None) -> RowList:
    table = read_table(str(path), list_format, column_names)
    if column_names is None:
        told = names_without_header(table.column_names, str(path))
        if told is not None:
            table = read_table(str(path), list_format, told)
    if not table.num_columns:
        raise InputError(f"the list {str(path)!r} is empty; it has no rows")
    return _with_lists(clean_header(table, str(path)))


def _with_lists(table: pa.Table) -> RowList:
    """Fields of csv and tsv as what they hold: nothing, text, or a list of texts as JSON: ``["a", "b"]``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if any(pc.any(pc.starts_with(column, "[")).as_py() for column in table.columns):
        return PackedRows(
            {name: _cell(field) for name, field in row.items()}
            for batch in table.to_batches()
            for row in batch.to_pylist()
        )
    nothing = pa.scalar(None, pa.string())
    columns = [pc.if_else(pc.equal(fields, ""), nothing, fields) for fields in table.columns]
    return ArrowRows(pa.table(columns, names=table.column_names))


def _cell(field: str | None) -> str | list[str] | None:
    if field is not None and field.startswith("[") and field.endswith("]"):
        try:
            values = json.loads(field)
        except (ValueError, RecursionError):
            return field
        if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
            return values
    return field or None

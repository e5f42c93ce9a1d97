"""The first line of a csv or tsv: is it a header, and what does it name? Called by ``list_files``.

A list of URLs and captions often has none; to take its first row for one would lose that row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from img2dataset.errors import InputError
from img2dataset.training.data.columns import USUAL_COLUMNS
from img2dataset.training.data.file_names import IMAGE_ENDINGS

if TYPE_CHECKING:
    import pyarrow as pa

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://|data:)\S")
_USUAL = {name for names in USUAL_COLUMNS.values() for name in names}


def names_without_header(first_row: Sequence[str], where: str) -> list[str] | None:
    """The names of the columns of a list without a header; None: its first row is one.

    No header: a field is a URL, or the path of an image beside fields that are no usual names. Of two fields
    the other is the caption.

    Args:
        first_row: its fields.
        where: the list, as messages show it.

    Raises:
        InputError: there is none, and which field is the image and which the caption cannot be told.
    """
    fields = [field.strip() for field in first_row]
    urls = [field for field in fields if _URL.match(field)]
    paths = [field for field in fields if _is_image_path(field)]
    if not urls and (not paths or _USUAL.intersection(fields)):
        return None
    sources = {*urls, *paths}
    if len(sources) > 1 or len(fields) > 2:
        shown = ", ".join(field if len(field) <= 60 else field[:57] + "..." for field in fields[:4])
        raise InputError(
            f"{where} has no header, as its first line shows ({shown}), and more columns than an image and a"
            f" caption: name its {len(fields)} columns, column_names=['image', 'caption', …]"
        )
    return ["image" if field in sources else "caption" for field in fields]


def clean_header(table: pa.Table, where: str) -> pa.Table:
    """The table with names without blanks around them; of columns whose names had some, the fields too.

    Raises:
        InputError: two columns then have one name.
    """
    import pyarrow.compute as pc

    names = [name.strip() for name in table.column_names]
    if names == table.column_names:
        return table
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f'{where} has columns that are named "{twice}" but for blanks around it; rename them'
        )
    for position, name in enumerate(table.column_names):
        if name != names[position]:
            fields = pc.utf8_trim_whitespace(table.column(position))
            table = table.set_column(position, name, fields)
    return table.rename_columns(names)


def _is_image_path(field: str) -> bool:
    stem, dot, ending = field.rpartition(".")
    return bool(stem) and dot + ending.lower() in IMAGE_ENDINGS

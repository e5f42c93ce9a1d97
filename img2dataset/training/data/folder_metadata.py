"""The list that lies in a folder of images: ``metadata.jsonl`` and its like. Called by ``image_folder``.

Two layouts: that of Hugging Face's imagefolder (``file_name``, in each split's folder), and that of
DiffSynth-Studio (``metadata.csv`` with ``image`` and ``prompt``). Paths in it are relative to its folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from img2dataset.reading import format_of_path
from img2dataset.training.data.columns import USUAL_COLUMNS, first_usual
from img2dataset.training.data.list_files import read_rows
from img2dataset.training.data.row_lists import RenamedRows, RowList

logger = logging.getLogger("img2dataset")

FOLDER_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet", "metadata.json")
# What Hugging Face calls the columns of files: those of the row's own image become ``image``.
_FILE_NAMES = ("file_name", "file_names")


def metadata_of_folder(folder: Path, present: Collection[str]) -> RowList | None:
    """The rows of the list in a folder, if there is one that names images.

    Args:
        folder: where.
        present: the names of its files.

    Raises:
        InputError: the list cannot be read.
    """
    for name in FOLDER_METADATA:
        if name not in present:
            continue
        path = folder / name
        if name == "metadata.json" and not _is_a_list(path):
            continue
        rows = read_rows(path, format_of_path(name) or "")
        named = next((column for column in _FILE_NAMES if column in rows.columns), None)
        if named is not None:
            return RenamedRows(rows, {named: "image"})
        if first_usual("image", rows.columns) is not None:
            return rows
        logger.warning(
            "%s is not used: it has no column of images (%s); it has %s",
            path,
            ", ".join(("file_name", *USUAL_COLUMNS["image"][:2])),
            ", ".join(rows.columns),
        )
    return None


def below(folder: str, row: dict[str, Any], columns: Collection[str]) -> dict[str, Any]:
    """The row of a list in ``folder``, with the paths in ``columns`` relative to where that is."""
    return {name: _moved(folder, value) if name in columns else value for name, value in row.items()}


def columns_of_files(columns: Collection[str]) -> set[str]:
    """The columns of a folder's list that name files: that of the images, and those whose names say so."""
    image = first_usual("image", columns)
    return {name for name in columns if name == image or name.endswith(_FILE_NAMES)}


def _is_a_list(path: Path) -> bool:
    """Whether a document is a list: many tools describe a folder, or one image, under this name."""
    with open(path, "rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _moved(folder: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_moved(folder, one) for one in value]
    is_path = (
        isinstance(value, str) and value.strip() and "://" not in value and not value.startswith("data:")
    )
    return os.path.join(folder, value.strip()) if is_path else value

"""Any list of images and captions in, rows by number out: what the map-style datasets stand on.

``open_list`` chooses by what a path is. Lists in files are read as a download reads them (``list_files``);
others are LMDB, folders of images, datasets as Hugging Face saves and publishes them, and what is in memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from img2dataset.errors import InputError
from img2dataset.options import option_specs
from img2dataset.reading import format_of_path
from img2dataset.training.data.image_folder import rows_of_folder
from img2dataset.training.data.list_files import DELIMITED, read_rows, refuse_column_names
from img2dataset.training.data.memory_rows import rows_in_memory
from img2dataset.training.data.parquet_folder import parquet_folder, rows_of_parquet_folder
from img2dataset.training.data.row_lists import RowList, SequenceRows
from img2dataset.training.data.saved_dataset import is_saved_dataset, open_saved_dataset
from img2dataset.training.data.splits import refuse_split
from img2dataset.training.requirements import require

# Formats of lists that a download does not read.
OWN_FORMATS = ("lmdb", "folder", "huggingface")


def open_list(
    source: Any,
    list_format: str | None = None,
    split: str | None = None,
    *,
    column_names: Sequence[str] | None = None,
    folder_repeats: bool | None = None,
) -> RowList:
    """Open a list.

    Args:
        source: a path; or, in memory, a sequence of dictionaries, an Arrow table, a data frame, or a dataset
            of Hugging Face.
        list_format: an ``input_format`` of downloads, or one of ``OWN_FORMATS``; None: told from the path.
        split: which split, of what is divided into such: a ``DatasetDict``, a folder of the hub, a folder of
            images with a folder a split, a dataset given by name. None: the only one, or "train".
        column_names: of a csv or tsv without a header; None: told from its first line.
        folder_repeats: of a folder of images: see ``image_folder.rows_of_folder``.

    Raises:
        InputError: there is nothing, or it is not what it should be; names the file and the place. Or an
            argument does not apply to it.
        MissingDependency: LMDB or Hugging Face without their package.
    """
    if isinstance(column_names, str) or not all(isinstance(name, str) for name in column_names or ()):
        raise InputError(f"column_names is {column_names!r}; it takes a list of names, ['image', 'caption']")
    if not isinstance(source, (str, os.PathLike)):
        refuse_column_names(column_names, "a list in memory")
        _refuse_repeats(folder_repeats, "a list in memory")
        return rows_in_memory(source, split)
    path = Path(source).expanduser()
    if list_format == "huggingface" and not (path.is_dir() and is_saved_dataset(path)):
        datasets = require("datasets", "a list from the Hugging Face hub", extra=None)
        return SequenceRows(datasets.load_dataset(os.fspath(source), split=split or "train"))
    if not path.exists():
        raise InputError(f"the list {str(source)!r} does not exist; give a file or a folder")
    chosen = list_format or _format_of(path)
    if chosen not in OWN_FORMATS and not option_specs()["input_format"].has_choice(chosen):
        raise InputError(f"format is {list_format!r}; it takes {_formats()}")
    where = repr(str(path))
    if chosen.removesuffix(".gz") not in DELIMITED:
        refuse_column_names(column_names, f"{where}, whose format is {chosen}")
    if chosen == "folder":
        return rows_of_folder(path, split, folder_repeats)
    _refuse_repeats(folder_repeats, where)
    if chosen == "huggingface":
        return open_saved_dataset(path, split)
    if chosen == "parquet" and path.is_dir():
        return rows_of_parquet_folder(parquet_folder(path) or path, split)
    refuse_split(split, where)
    if chosen == "lmdb":
        from img2dataset.training.data.lmdb_list import LmdbRows

        return LmdbRows(path)
    return read_rows(path, chosen, column_names)


def list_folder(source: Any) -> Path | None:
    """The folder that relative paths in a list are relative to: its own; None for lists in memory."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = Path(source).expanduser()
    return path if path.is_dir() else path.parent


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "data.mdb").exists():
            return "lmdb"
        if is_saved_dataset(path):
            return "huggingface"
        return "folder" if parquet_folder(path) is None else "parquet"
    if path.suffix.lower() in (".lmdb", ".mdb"):
        return "lmdb"
    told = format_of_path(path.name)
    if told is None:
        raise InputError(f"the format of {str(path)!r} is not known; give format, {_formats()}")
    return told


def _refuse_repeats(folder_repeats: bool | None, where: str) -> None:
    if folder_repeats is not None:
        raise InputError(f"folder_repeats is for folders of images, not for {where}")


def _formats() -> str:
    return f"{option_specs()['input_format'].allowed()}; or {', '.join(OWN_FORMATS)}"

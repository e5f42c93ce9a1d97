"""Which parquet files of a folder are its list: those of a split, as a repository of the Hugging Face hub has
them (``data/train-00000-of-00004.parquet``). Called by ``lists``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from img2dataset.errors import InputError, one_line
from img2dataset.reading import read_table
from img2dataset.training.data.file_names import is_image_name, is_visible
from img2dataset.training.data.folder_metadata import FOLDER_METADATA
from img2dataset.training.data.image_folder import holds_images
from img2dataset.training.data.list_files import rows_of_table
from img2dataset.training.data.row_lists import RowList
from img2dataset.training.data.splits import SPLIT_NAMES, chosen_split, refuse_split

_NUMBERED = re.compile(r"(.+?)-\d+-of-\d+(-[0-9a-f]+)?")


def parquet_folder(folder: Path) -> Path | None:
    """Where below a folder its parquet files are: in itself, in ``data``, or in folders of splits.

    None: there are none, or it is a folder of images.

    Raises:
        InputError: they are in several folders, each a list of its own.
    """
    for place in (folder / "data", folder):
        # As the hub numbers them: an image beside them, such as a logo, is no list of images.
        files = _files(place)
        if files and all(_NUMBERED.fullmatch(path.stem) for path in files):
            return place
    if _files(folder):
        return None if holds_images(folder) else folder
    inner = [each for each in sorted(folder.iterdir()) if each.is_dir() and is_visible(each.name)]
    names = [each.name for each in inner if _files(each)]
    if names == ["data"]:
        return None if _has_images_below(folder) else folder / "data"
    if not names:
        return parquet_folder(folder / "data") if folder / "data" in inner else None
    if _has_images_below(folder):
        return None
    if len(names) > 1 and not SPLIT_NAMES.issuperset(names):
        raise InputError(
            f"the folder {str(folder)!r} has parquet files in several folders, {', '.join(names)};"
            " give one of them"
        )
    return folder if SPLIT_NAMES.issuperset(names) else folder / names[0]


def rows_of_parquet_folder(folder: Path, split: str | None) -> RowList:
    """The rows of the parquet files in a folder.

    Args:
        folder: as ``parquet_folder`` says.
        split: which, where names of files or folders say splits; None: the only one, or "train".

    Raises:
        InputError: there is no such split; or a file cannot be read, or does not fit to the others.
    """
    import pyarrow as pa

    where = f"the folder {str(folder)!r}"
    files = _files(folder)
    splits = [_split_of(path) for path in files]
    if not files:
        inside = {each.name: _files(each) for each in sorted(folder.iterdir()) if each.name in SPLIT_NAMES}
        names = [name for name, found in inside.items() if found]
        if not names:
            raise InputError(f"{where} holds no file ending in .parquet")
        files = inside[chosen_split(names, split, where)]
    elif None not in splits:
        chosen = chosen_split(dict.fromkeys(filter(None, splits)), split, where)
        files = [path for path, its in zip(files, splits, strict=True) if its == chosen]
    else:
        refuse_split(split, where)
    tables = [read_table(str(path), "parquet") for path in files]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"the files of {folder} do not fit together: {one_line(error)}") from error
    return rows_of_table(table, where)


def _files(folder: Path) -> list[Path]:
    """The parquet files in a folder that can be a list; not one that describes the images around it."""
    found = (path for path in folder.glob("*.parquet") if is_visible(path.name) and path.is_file())
    return sorted(path for path in found if path.name not in FOLDER_METADATA)


def _has_images_below(folder: Path) -> bool:
    for _, folders, files in os.walk(folder):
        folders[:] = filter(is_visible, folders)
        if any(map(is_image_name, files)):
            return True
    return False


def _split_of(path: Path) -> str | None:
    match = _NUMBERED.fullmatch(path.stem)
    if match is not None:
        return match[1]
    return path.stem if path.stem in SPLIT_NAMES else None

"""A folder of images in, rows by number out: each image with the caption beside it, or in the folder's list.

Called by ``open_list``. Rows are in the order of their paths.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from img2dataset.counted import counted
from img2dataset.errors import InputError
from img2dataset.training.data.columns import first_usual
from img2dataset.training.data.file_names import IMAGE_ENDINGS, is_image_name, is_visible
from img2dataset.training.data.folder_metadata import (
    FOLDER_METADATA,
    below,
    columns_of_files,
    metadata_of_folder,
)
from img2dataset.training.data.packed_rows import PackedRows
from img2dataset.training.data.row_lists import ArrowRows, RowList
from img2dataset.training.data.splits import SPLIT_NAMES, chosen_split

logger = logging.getLogger("img2dataset")

CAPTION_ENDINGS = (".txt", ".caption")
# kohya's name of a folder: how often each of its images is to be taken, and what is in it.
_REPEATED_FOLDER = re.compile(r"(\d+)_(.+)")


def holds_images(folder: Path) -> bool:
    """Whether images lie in the folder itself."""
    return any(is_image_name(path.name) for path in folder.iterdir())


@dataclass
class _Found:
    """What a walk has found."""

    images: list[str] = field(default_factory=list)
    captions: list[str | None] = field(default_factory=list)
    # Folders with a list of their own, from the root, and their lists.
    lists: list[tuple[str, RowList]] = field(default_factory=list)
    repeated_folders: set[str] = field(default_factory=set)


def rows_of_folder(
    folder: Path, split: str | None = None, repeats: bool | None = None, wants_captions: bool = True
) -> RowList:
    """The images anywhere below a folder, with their captions.

    Args:
        folder: where. A folder in it with a list of its own (``metadata.jsonl``) holds the images of that.
        split: the folder in it to read; None: all of it, but of folders called as splits "train" alone.
        repeats: whether ``10_dog`` means that each image in it is a row ten times, and ``dog`` the caption of
            those without one, as in kohya's trainers; None: it does not, and such folders are told of.
        wants_captions: whether it is said that there are none.

    Returns:
        Rows with ``image``, a path from the folder, and ``caption``; or with the columns of the lists.

    Raises:
        InputError: there are no images, no such split, or a list cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder")
    found = _walked(folder, split_folder(folder, split), bool(repeats))
    if not found.images and not found.lists:
        raise InputError(f"the folder {str(folder)!r} holds no images ({', '.join(IMAGE_ENDINGS)})")
    if found.repeated_folders and repeats is None:
        logger.warning(
            "%r has folders such as %r: folder_repeats=True takes their images that often, as kohya's"
            " trainers do; folder_repeats=False takes them once and is silent",
            str(folder),
            min(found.repeated_folders),
        )
    if repeats and not found.repeated_folders:
        logger.warning(
            "folder_repeats=True changes nothing in %r: no images are in folders such as '10_dog'; those of a"
            " metadata list are taken as often as it has them",
            str(folder),
        )
    if wants_captions:
        _tell_of_captions(folder, found)
    return _rows_of(found)


def images_of_folder(folder: Path) -> list[tuple[str, str | None]]:
    """The images anywhere below a folder, whatever lists are there: paths from it, captions beside."""
    return list(_pairs(_walked(folder, "", repeats=False, with_lists=False)))


def split_folder(folder: Path, split: str | None) -> str:
    """The folder to walk through, from ``folder``; "" for all of it."""
    entries = [entry for entry in os.scandir(folder) if is_visible(entry.name)]
    folders = sorted(entry.name for entry in entries if entry.is_dir())
    where = f"the folder {str(folder)!r}"
    if split is not None:
        return chosen_split(folders, split, where)
    in_itself = any(is_image_name(entry.name) or entry.name in FOLDER_METADATA for entry in entries)
    if len(folders) > 1 and SPLIT_NAMES.issuperset(folders) and not in_itself:
        return chosen_split(folders, None, where)
    return ""


def _walked(root: Path, start: str, repeats: bool, with_lists: bool = True) -> _Found:
    found = _Found()
    for parent, folders, files in os.walk(root / start):
        folders[:] = sorted(filter(is_visible, folders))
        present = set(files)
        place = os.path.relpath(parent, root)
        place = "" if place == os.curdir else place
        rows = metadata_of_folder(Path(parent), present) if with_lists else None
        if rows is not None:
            folders.clear()
            found.lists.append((place, rows))
            continue
        images = sorted(filter(is_image_name, files))
        count, name = _repeats_of(place)
        if images and name is not None:
            found.repeated_folders.add(place)
        for file in images:
            caption = _caption_beside(parent, os.path.splitext(file)[0], present)
            times = count if repeats else 1
            found.images += [os.path.join(place, file)] * times
            found.captions += [name if caption is None and repeats else caption] * times
    return found


def _repeats_of(place: str) -> tuple[int, str | None]:
    """How often images in this folder are meant to be taken, and what is in it; by the innermost name."""
    for name in reversed(place.split(os.sep)):
        match = _REPEATED_FOLDER.fullmatch(name)
        if match is not None:
            return int(match[1]), match[2]
    return 1, None


def _rows_of(found: _Found) -> RowList:
    import pyarrow as pa

    if not found.lists:
        try:
            table = pa.table({"image": found.images, "caption": pa.array(found.captions, pa.string())})
        except UnicodeEncodeError:  # names of files that are not UTF-8, which Arrow cannot hold
            return PackedRows({"image": image, "caption": caption} for image, caption in _pairs(found))
        return ArrowRows(table)
    if len(found.lists) == 1 and not found.images and not found.lists[0][0]:
        return found.lists[0][1]
    beside = ({"image": image, "caption": caption} for image, caption in _pairs(found))
    return PackedRows(chain(beside, chain.from_iterable(_moved_rows(*one) for one in _alike(found))))


def _pairs(found: _Found) -> Iterator[tuple[str, str | None]]:
    return zip(found.images, found.captions, strict=True)


def _alike(found: _Found) -> Sequence[tuple[str, RowList, dict[str, str]]]:
    """The lists, each with the names that its columns of images and captions get beside others."""
    several = len(found.lists) + bool(found.images) > 1
    alike = []
    for place, rows in found.lists:
        usual = {first_usual(meaning, rows.columns): meaning for meaning in ("image", "caption")}
        names = {column: meaning for column, meaning in usual.items() if column is not None}
        alike.append((place, rows, names if several else {}))
    return alike


def _moved_rows(place: str, rows: RowList, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    files = columns_of_files(rows.columns)
    for index in range(len(rows)):
        row = below(place, rows.row(index), files)
        yield {names.get(name, name): value for name, value in row.items()}


def _tell_of_captions(folder: Path, found: _Found) -> None:
    if found.images and not found.lists and not any(found.captions):
        logger.warning(
            "no captions were found for the %s of %r: put a.txt beside a.jpg, or a metadata.jsonl with"
            " file_name and text into the folder; captions are empty",
            counted(len(found.images), "image"),
            str(folder),
        )


def _caption_beside(folder: str, stem: str, present: set[str]) -> str | None:
    for ending in CAPTION_ENDINGS:
        if stem + ending in present:
            path = Path(folder, stem + ending)
            try:
                return path.read_text(encoding="utf-8-sig").strip()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"the caption {str(path)!r} is not UTF-8 (byte {error.start}); convert it, as with iconv"
                    " -f latin1 -t utf-8"
                ) from error
            except OSError as error:
                raise InputError(f"the caption {str(path)!r} cannot be read: {error.strerror}") from error
    return None

"""Differences that are meant, and that no option restores: each with its reason, printed below the table.

Comes in: a place and both values. Goes out: the reason, or None for a difference nobody meant. Called by
``comparing.py``. What a case can leave out of its list (16-bit images, transparency) needs no entry here.
"""

from __future__ import annotations

import json
from typing import Any

EMPTY_EXIF = "EXIF values that 1.47.0 leaves empty (of undefined type, such as ExifVersion) are read"
HASH_OF_FAILED = "bytes that were downloaded have their hash even if no image could be made of them"
TEXT_CAPTIONS = "captions that are numbers in the list are text in the metadata, in every shard alike"
HASH_LAST = "with verify_hash the hash column stands last too, where it is without; 1.47.0 has it first"
BOXES = "the boxes of bbox_col steer the blur and are no column of the metadata, whose set readers check"
BBOX_COLUMN = "boxes"
HASHES = ("md5", "sha256", "sha512")


def reason_of_columns(theirs: list[tuple[str, str]], ours: list[tuple[str, str]]) -> str | None:
    """Why the columns of a parquet file are not those of 1.47.0, as names and types, if that is meant."""
    changed = [(one, other) for one, other in zip(theirs, ours, strict=False) if one != other]
    if len(theirs) == len(ours) and all(
        one[0] == "caption" and one[1] in ("int64", "double") and other == ("caption", "string")
        for one, other in changed
    ):
        return TEXT_CAPTIONS
    if theirs[0][0] in HASHES and theirs[1:] + theirs[:1] == ours:
        return HASH_LAST
    if [column for column in theirs if column[0] != BBOX_COLUMN] == ours:
        return BOXES
    return None


def reason_of_names(theirs: list[str], ours: list[str]) -> str | None:
    """Why ``KEY.json`` has not the names it had in 1.47.0, if that is meant."""
    return BOXES if [name for name in theirs if name != BBOX_COLUMN] == ours else None


def reason(name: str, theirs: Any, ours: Any, row: dict[str, Any]) -> str | None:
    """Why the field ``name`` of a row of metadata is not what it was in 1.47.0, if that is meant.

    Args:
        name: the column, or the name in ``KEY.json``.
        theirs: the value 1.47.0 wrote.
        ours: the value this program wrote.
        row: the row of 1.47.0 that the value is of.
    """
    if name == "exif" and isinstance(theirs, str) and isinstance(ours, str):
        one, other = json.loads(theirs), json.loads(ours)
        if list(one) == list(other) and all(value in ("", other[tag]) for tag, value in one.items()):
            return EMPTY_EXIF
    number = isinstance(theirs, (int, float))
    if name == "caption" and number and isinstance(ours, str) and str(theirs) == ours:
        return TEXT_CAPTIONS
    failed = row["status"] == "failed_to_resize"
    if name in HASHES and failed and theirs is None and isinstance(ours, str):
        return HASH_OF_FAILED
    return None

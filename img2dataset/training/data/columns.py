"""Which column of a list means what: names in, a choice out. Called by the datasets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from img2dataset.errors import InputError, OptionError
from img2dataset.formats.dataset import IMAGE_NAMES

logger = logging.getLogger("img2dataset")

# The usual names, the likeliest first. Images that are in a list come before where they came from.
USUAL_COLUMNS: dict[str, tuple[str, ...]] = {
    "image": (
        *("image", "img", *IMAGE_NAMES),
        *("image_path", "file_name", "path", "file", "url", "image_url", "URL"),
    ),
    "caption": ("caption", "captions", "text", "prompt", "txt", "TEXT"),
    "width": ("width",),
    "height": ("height",),
}


def first_usual(meaning: str, present: Iterable[str]) -> str | None:
    """The likeliest column of this meaning, by its name; None: none has a usual one."""
    names = set(present)
    return next((name for name in USUAL_COLUMNS[meaning] if name in names), None)


def chosen_columns(present: Sequence[str], column_map: Mapping[str, str] | None) -> dict[str, str]:
    """Which column of a list is the image, the caption, the width and the height.

    That none is known to hold captions, though others are left, is said.

    Raises:
        OptionError: the map has a meaning that does not exist.
        InputError: a column is missing.
    """
    # Samples have it as ``img``.
    chosen = {"image" if meaning == "img" else meaning: name for meaning, name in (column_map or {}).items()}
    if len(chosen) < len(column_map or {}):
        raise OptionError("column_map has both 'image' and 'img', which are the same; give one of them")
    listed = ", ".join(map(str, present)) or "none"
    for meaning, column in chosen.items():
        if meaning not in USUAL_COLUMNS:
            raise OptionError(f"column_map has {meaning!r}; it takes {', '.join(USUAL_COLUMNS)}")
        if column not in present:
            raise InputError(f"the list has no column {column!r} (for {meaning}); it has {listed}")
    for meaning in USUAL_COLUMNS:
        found = first_usual(meaning, present)
        if meaning not in chosen and found is not None:
            chosen[meaning] = found
    if "image" not in chosen:
        raise InputError(
            f"no column of the list is known to hold images; it has {listed}:"
            " say which with column_map={'image': …}; the columns of a csv or tsv without a header are named"
            " with column_names=[…]"
        )
    others = [name for name in present if name not in chosen.values()]
    if "caption" not in chosen and others:
        logger.warning(
            "no column of the list is known to hold captions, so they are empty; it has %s besides: say which"
            " with column_map={'caption': …}",
            ", ".join(map(str, others)),
        )
    return chosen

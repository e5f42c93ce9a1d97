"""Which column of a list means what: names in, a choice out. Called by the datasets. A pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from img2dataset.errors import InputError, OptionError

# The usual names, the likeliest first.
USUAL_COLUMNS: dict[str, tuple[str, ...]] = {
    "image": ("image", "img", "image_path", "file_name", "path", "file", "url", "image_url", "URL"),
    "caption": ("caption", "captions", "text", "prompt", "txt", "TEXT"),
    "width": ("width",),
    "height": ("height",),
}


def chosen_columns(present: Sequence[str], column_map: Mapping[str, str] | None) -> dict[str, str]:
    """Which column of a list is the image, the caption, the width and the height.

    Raises:
        OptionError: the map has a meaning that does not exist.
        InputError: a column is missing.
    """
    # Samples have it as ``img``.
    chosen = {"image" if meaning == "img" else meaning: name for meaning, name in (column_map or {}).items()}
    if len(chosen) < len(column_map or {}):
        raise OptionError("column_map has both 'image' and 'img', which are the same; give one of them")
    for meaning, column in chosen.items():
        if meaning not in USUAL_COLUMNS:
            raise OptionError(f"column_map has {meaning!r}; it takes {', '.join(USUAL_COLUMNS)}")
        if column not in present:
            raise InputError(
                f"the list has no column {column!r} (for {meaning}); it has {', '.join(present)}"
            )
    for meaning, usual in USUAL_COLUMNS.items():
        found = next((name for name in usual if name in present), None)
        if meaning not in chosen and found is not None:
            chosen[meaning] = found
    if "image" not in chosen:
        raise InputError(
            f"no column of the list is known to hold images; it has {', '.join(present)}:"
            " say which with column_map={'image': …}"
        )
    return chosen

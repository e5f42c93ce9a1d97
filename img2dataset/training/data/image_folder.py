"""A folder of images in, rows by number out: each image with the caption in the file beside it.

Called by ``open_list``. Rows are in the order of their paths.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from img2dataset.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
CAPTION_ENDINGS = (".txt", ".caption")


def holds_images(folder: Path) -> bool:
    """Whether images lie in the folder itself."""
    return any(path.suffix.lower() in IMAGE_ENDINGS for path in folder.iterdir())


def table_of_folder(folder: Path) -> pa.Table:
    """The images anywhere below a folder: columns ``image``, a path from the folder, and ``caption``.

    Raises:
        InputError: there are none.
    """
    import pyarrow as pa

    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder")
    images: list[str] = []
    captions: list[str | None] = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        present = set(files)
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            if ending.lower() in IMAGE_ENDINGS:
                images.append(os.path.relpath(os.path.join(parent, file), folder))
                captions.append(_caption_beside(parent, stem, present))
    if not images:
        raise InputError(f"the folder {str(folder)!r} holds no images ({', '.join(IMAGE_ENDINGS)})")
    return pa.table({"image": images, "caption": pa.array(captions, pa.string())})


def _caption_beside(folder: str, stem: str, present: set[str]) -> str | None:
    for ending in CAPTION_ENDINGS:
        if stem + ending in present:
            return Path(folder, stem + ending).read_text(encoding="utf-8-sig").strip()
    return None

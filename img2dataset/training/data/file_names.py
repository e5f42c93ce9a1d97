"""Which files and folders are a user's images, by their names alone. Called by what opens folders."""

from __future__ import annotations

import os

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
# What file managers, archives and network drives leave in folders; and whatever begins with a dot.
_LEFT_BY_SYSTEMS = frozenset(
    [
        "$RECYCLE.BIN",
        "#recycle",
        "#snapshot",
        "@Recently-Snapshot",
        "@Recycle",
        "@__thumb",
        "@eaDir",
        "System Volume Information",
        "__MACOSX",
        "lost+found",
    ]
)


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name was put there by the user."""
    return not name.startswith(".") and name not in _LEFT_BY_SYSTEMS


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image of the user's."""
    return is_visible(name) and os.path.splitext(name)[1].lower() in IMAGE_ENDINGS

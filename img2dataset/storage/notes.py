"""Small texts kept directly in a folder, on any file system.

In: a folder and a name. Out: the text, read or kept whole. Called by ``working`` (the manifest of an output
folder) and ``verifying``.
"""

from __future__ import annotations

from img2dataset.storage.locations import Location
from img2dataset.storage.putting import create_text, put_text


def read_note(location: Location, name: str) -> str | None:
    """The text of a note; None if there is none.

    Raises:
        Exception: it cannot be read; every file system has its own errors.
    """
    path = f"{location.path}/{name}"

    def read() -> bytes | None:
        if not location.file_system.exists(path):
            return None
        contents: bytes = location.file_system.cat_file(path)
        return contents

    contents = location.tried(read)
    # A note that is damaged is refused as one that is none, by who knows what it should be.
    return None if contents is None else contents.decode(errors="replace")


def write_note(location: Location, name: str, text: str) -> None:
    """Keep a note, in place of what stood under this name.

    Raises:
        Exception: it cannot be written; every file system has its own errors.
    """
    put_text(location, f"{location.path}/{name}", text)


def create_note(location: Location, name: str, text: str) -> bool:
    """Keep a note unless there is one under this name; whether it is kept.

    It may be kept and this False, where a store has kept it and its answer was lost.

    Raises:
        Exception: it cannot be written; every file system has its own errors.
    """

    def create() -> bool:
        try:
            create_text(location, f"{location.path}/{name}", text)
        except FileExistsError:
            return False
        return True

    return location.tried(create)

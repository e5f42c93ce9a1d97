"""Small files put whole: in one step, in place of what stood there or only where nothing stands.

In: a path and a text. Out: the file. Called by ``notes``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import Any


def write_whole(path: str, text: str, only_if_absent: bool) -> None:
    """Put a text under a name on the local disk, in one step.

    Raises:
        FileExistsError: ``only_if_absent``, and there is a file.
        OSError: it cannot be written.
    """
    temporary = f"{path}.{secrets.token_hex(4)}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        if only_if_absent:
            _link_or_create(temporary, path, text)
        else:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _link_or_create(temporary: str, path: str, text: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)


def put_if_absent(file_system: Any, path: str, contents: bytes) -> None:
    """Put a small object, unless there is one.

    In one step where the store and its package can (S3 with s3fs 2026, memory); else after a look, so that
    two processes may both put theirs.

    Raises:
        FileExistsError: there is one.
    """
    try:
        file_system.pipe_file(path, contents, mode="create")
    except (TypeError, NotImplementedError, ValueError):
        file_system.invalidate_cache()
        if file_system.exists(path):
            raise FileExistsError(path) from None
        file_system.pipe_file(path, contents)

"""Renames and reads on a local path that may be of a network file system. Called here and by ``working``.

NFS sends a request again whose answer was lost. A rename that was done then fails, since there is nothing to
rename any more; and a file that another machine has replaced may be unreadable under the handle that is known
of it (ESTALE), until it is looked for again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

_LOOKS, _WAIT_S = 5, 0.1

Result = TypeVar("Result")


def replace_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a file or folder, in place of a file that stands there, as ``os.replace``; done is done.

    Raises:
        OSError: it cannot be renamed.
    """
    number = os.lstat(source).st_ino
    try:
        os.replace(source, target)
    except FileNotFoundError:
        if not _is_at(target, number):
            raise


def looked_again(operation: Callable[[], Result]) -> Result:
    """What an operation on local files returns, done again where its file was another machine's to replace.

    Raises:
        Exception: what the operation has raised.
    """
    looks_left = _LOOKS
    while True:
        looks_left -= 1
        try:
            return operation()
        except OSError as error:
            if error.errno != errno.ESTALE or not looks_left:
                raise
        time.sleep(_WAIT_S)


def _is_at(path: str | os.PathLike[str], number: int) -> bool:
    try:
        return os.lstat(path).st_ino == number
    except FileNotFoundError:
        return False

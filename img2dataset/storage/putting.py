"""Files put whole under their names: a reader finds what stood there, or all of the new one.

In: a text or a file on the local disk, and a path. Out: the file, in place of what stood there or only where
nothing stands. Called by ``notes``, by ``working`` for the files of shards, and by ``training``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from img2dataset.storage.locations import Location
from img2dataset.storage.moving import replace_on_server
from img2dataset.storage.renaming import replace_file
from img2dataset.storage.retries import with_retries

UPLOADS_AT_ONCE = 16


def put_text(location: Location, path: str, text: str) -> None:
    """Put a small text under a name, in place of what stands there.

    Raises:
        Exception: it cannot be written; every file system has its own errors.
    """
    put_bytes(location, path, text.encode())


def put_bytes(location: Location, path: str, contents: bytes) -> None:
    """Put a small file under a name, in place of what stands there.

    Raises:
        Exception: as ``put_text``.
    """
    if not location.is_local:
        location.tried(lambda: location.file_system.pipe_file(path, contents))
        return
    temporary = _beside(path)
    with put_whole(path, temporary), open(temporary, "wb") as file:
        file.write(contents)


def put_named_file(location: Location, contents: bytes) -> None:
    """Put a file where a user wants it, in place of what stands there.

    A link is followed, and what is no regular file, such as ``/dev/stdout`` or a pipe, is written to: a file
    put under its name would take its place.

    Args:
        location: of the file itself.
        contents: all of it.

    Raises:
        Exception: as ``put_text``.
    """
    if not location.is_local:
        put_bytes(location, location.path, contents)
        return
    path = os.path.realpath(location.path)
    if os.path.isfile(path) or not os.path.lexists(path):
        put_bytes(location, path, contents)
        return
    with open(path, "wb") as file:
        file.write(contents)


def check_named_file(location: Location) -> None:
    """Whether ``put_named_file`` can put a file, as far as the local disk says it: before work of hours.

    Raises:
        OSError: it cannot.
    """
    if not location.is_local:
        return
    path = os.path.realpath(location.path)
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not os.access(folder if os.path.isfile(path) or not os.path.lexists(path) else path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def create_text(location: Location, path: str, text: str) -> None:
    """Put a small text under a name where nothing stands.

    Of two processes that do so in the same moment, one is told so, where the file system has a way for it:
    local ones have, and S3 with s3fs 2026. Else it is after a look, so that both may put theirs.

    Raises:
        FileExistsError: something stands there.
        Exception: it cannot be written; every file system has its own errors.
    """
    if not location.is_local:
        _create_object(location.file_system, path, text.encode())
        return
    with _written_beside(path, text) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)


@contextlib.contextmanager
def put_whole(path: str | os.PathLike[str], temporary: str | os.PathLike[str]) -> Iterator[None]:
    """Put a local file under its name, in place of what stands there, when the block has written all of it.

    Args:
        path: its name, on the disk of ``temporary``.
        temporary: where the block writes it; gone afterwards, whatever the block raises.

    Raises:
        OSError: it cannot be put there.
    """
    try:
        yield
        replace_file(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def put_files(location: Location, files: Iterable[tuple[str, str]], temporary: str | None = None) -> None:
    """Upload files, side by side where that may be; those of a ``files`` shard are many and small.

    Args:
        location: not local.
        files: of each its path on the local disk and its path there.
        temporary: where an upload can be seen, files have paths there that begin with this until they are
            whole; its folder is made. None: they may be seen.

    Raises:
        Exception: what the first upload that failed has raised.
    """

    def put(file: tuple[str, str]) -> None:
        source, target = file
        if temporary is not None and location.shows_partial_files:
            with_retries(lambda: _upload_then_move(location, source, target, temporary))
        else:
            with_retries(lambda: location.file_system.put_file(source, target))

    with ThreadPoolExecutor(1 if location.takes_one_at_a_time else UPLOADS_AT_ONCE) as uploads:
        for _ in uploads.map(put, files):
            pass  # raises what an upload raised


def _upload_then_move(location: Location, source: str, target: str, temporary: str) -> None:
    partial = f"{temporary}{os.path.basename(target)}"
    location.file_system.makedirs(os.path.dirname(partial), exist_ok=True)
    location.file_system.put_file(source, partial)
    replace_on_server(location, partial, target)


def _create_object(file_system: Any, path: str, contents: bytes) -> None:
    try:
        file_system.pipe_file(path, contents, mode="create")
    except (TypeError, NotImplementedError, ValueError):  # the store or its package has no such put
        file_system.invalidate_cache()
        if file_system.exists(path):
            raise FileExistsError(path) from None
        file_system.pipe_file(path, contents)


@contextlib.contextmanager
def _written_beside(path: str, text: str) -> Iterator[str]:
    """The path of a temporary file that holds the text, on the same disk as ``path``."""
    temporary = _beside(path)
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _beside(path: str) -> str:
    return f"{path}.{secrets.token_hex(4)}"

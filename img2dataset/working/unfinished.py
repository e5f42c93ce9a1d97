"""Shards that a stop has left unfinished: what was downloaded is kept, and the next run completes it.

In: a shard's whole files, in which the rows that were not tried stand as such. Out: the same files in a
hidden folder, ``.img2dataset_unfinished/00003-9f86d081/``, where no reader of the dataset meets them; and
from there, as a ``FinishedShard``, to the worker that makes the shard. Called by ``ShardWriter``, by the
worker and by ``OutputFolder``.

Each attempt has a folder of its own, so that a shard that is stopped twice never stands without one; the
folder whose rows it took over is removed afterwards. The statistics are written last here too: a folder
without them is no kept shard.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from dataclasses import replace
from functools import partial

from img2dataset.errors import OutputError
from img2dataset.failures import NOT_TRIED
from img2dataset.formats.dataset import STATISTICS_ENDING, shard_name
from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import flush_to_disk
from img2dataset.storage.putting import put_files
from img2dataset.storage.renaming import replace_file
from img2dataset.storage.retries import with_retries
from img2dataset.working.finished_shard import FinishedShard

UNFINISHED_FOLDER = ".img2dataset_unfinished"
# How often the move of a folder is tried: another worker may remove the empty folder that it goes into.
_MOVES = 10
_FOLDER_NAME = re.compile(r"(?P<shard>\d+)-[0-9a-f]{8}")


def put_aside(
    location: Location,
    folder: str,
    names: list[str],
    statistics: str,
    taken_over: FinishedShard | None = None,
) -> None:
    """Keep a shard's files until a run completes them.

    Args:
        location: of the output folder.
        folder: of the files, on the local disk; where the output folder is local too, it is moved.
        names: data and metadata in it.
        statistics: the name of the statistics in it, which are put last.
        taken_over: what an earlier stop has kept of the shard, whose rows are in these files too.

    Raises:
        OSError: they cannot be kept.
    """
    shard = statistics.removesuffix(STATISTICS_ENDING)
    target = f"{location.path}/{UNFINISHED_FOLDER}/{shard}-{secrets.token_hex(4)}"
    if location.is_local:
        for path in (os.path.join(folder, name) for name in (*names, statistics)):
            flush_to_disk(path)
        flush_to_disk(folder)
        _move(folder, target)
    else:
        for name in (*names, statistics):
            _upload(location, os.path.join(folder, name), f"{target}/{name}")
    if taken_over is not None and not taken_over.in_place:
        with contextlib.suppress(Exception):  # leftovers cost only their room
            _remove(location, taken_over.folder)


def _move(folder: str, target: str) -> None:
    """Move a folder into the one of unfinished shards, which another worker may just be removing."""
    for tries_left in range(_MOVES - 1, -1, -1):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            replace_file(folder, target)
            return
        except FileNotFoundError:
            if not tries_left:
                raise


def _upload(location: Location, source: str, target: str) -> None:
    """Upload a file, or the files of a folder, each by itself: a put of a whole folder that is tried again
    goes into what the first try has made of it."""
    names = sorted(os.listdir(source)) if os.path.isdir(source) else [""]
    files = [(os.path.join(source, name).rstrip("/"), f"{target}/{name}".rstrip("/")) for name in names]
    location.file_system.makedirs(target if os.path.isdir(source) else os.path.dirname(target), exist_ok=True)
    put_files(location, files)


def open_unfinished_shard(settings: WriteSettings, shard_id: int) -> FinishedShard | None:
    """What a stop has kept of a shard, or None. Of several, the one with the most rows that were tried.

    Raises:
        OutputError: there are only such whose statistics cannot be read.
        OSError: the folder cannot be listed.
    """
    location = settings.locate()
    shard = shard_name(shard_id, settings.shard_digits)
    found, broken = [], None
    for name in _folders(location):
        match = _FOLDER_NAME.fullmatch(name)
        if match is None or match["shard"] != shard:
            continue
        path = f"{location.path}/{UNFINISHED_FOLDER}/{name}"
        statistics = f"{path}/{shard}{STATISTICS_ENDING}"
        try:
            text = with_retries(partial(location.file_system.cat_file, statistics))
            found.append(
                FinishedShard(settings, replace(location, path=path), shard_id, text, in_place=False)
            )
        except FileNotFoundError:
            continue
        except OutputError as error:
            broken = error
    if broken is not None and not found:
        raise broken
    return max(found, key=_tried, default=None)


def _tried(shard: FinishedShard) -> int:
    statistics = shard.statistics
    return int(statistics.get("count", 0)) - int(statistics.get("status_dict", {}).get(NOT_TRIED, 0))


def remove_unfinished(location: Location, shard: str) -> None:
    """Remove what was kept of a shard, which is done now. Never raises: leftovers cost only their room."""
    with contextlib.suppress(Exception):
        names = [name for name in _folders(location) if name.startswith(f"{shard}-")]
        for name in names:
            _remove(location, f"{location.path}/{UNFINISHED_FOLDER}/{name}")
        if names and location.is_local:
            os.rmdir(f"{location.path}/{UNFINISHED_FOLDER}")  # raises while there are others


def unfinished_shards(location: Location) -> set[int]:
    """The numbers of the shards of which something is kept.

    Raises:
        OSError: the folder cannot be listed.
    """
    matches = (_FOLDER_NAME.fullmatch(name) for name in _folders(location))
    return {int(match["shard"]) for match in matches if match is not None}


def _folders(location: Location) -> list[str]:
    folder = f"{location.path}/{UNFINISHED_FOLDER}"
    try:
        return names_in(location, folder)
    except NotADirectoryError:
        return []


def _remove(location: Location, path: str) -> None:
    if location.is_local:
        shutil.rmtree(path, ignore_errors=True)
    else:
        remove(location, path)

"""Bringing the replacement of a finished shard to its end, or undoing one short of its commit point.

In: a journal (``replacement_journal``). Out: the new shard or the old one, whole. Called by ``replacing``;
and for what was cut short, before anything is read, by ``OutputFolder``, ``open_finished_shard``, ``verify``.
The steps, and what they keep, are in ``replacing``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import partial

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import STATISTICS_ENDING
from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location
from img2dataset.storage.locks import LockBusy, alone_in
from img2dataset.storage.moving import flush_names, make_folder, move
from img2dataset.storage.runs import other_run_lives, run_is_dead
from img2dataset.working.replacement_journal import (
    Journal,
    Plan,
    digest_of,
    journal_path,
    journals_folder,
    shards_with_journal,
    stage_path,
    stages,
)

# Moving the ten thousand images of a shard with their captions and metadata takes a second.
_LOCK_WAIT_S = 60.0


def finish_all_replacements(location: Location) -> list[str]:
    """Bring every replacement to its end that was cut short; the shards' names.

    Data that a run has staged for a shard without coming to the journal are removed: where there is a lock,
    from which the run would not have let go before its journal, at once; else once it is dead.

    Raises:
        OutputError: another process has held the lock for too long.
        Exception: the file system fails; the next call goes on.
    """
    folder = journals_folder(location)
    # An empty one on the local disk is what a crash has left of the lock: being alone in it removes it.
    if not (os.path.lexists(folder) if location.is_local else names_in(location, folder)):
        return []
    with replacement_lock(location) as alone:
        shards = shards_with_journal(location)
        finished = [shard for shard in shards if finish_under_lock(location, shard, None)]
        left_to_others = set(shards).difference(finished)
        for shard, run_id in stages(location):
            if shard not in left_to_others and (alone or run_is_dead(run_id)):
                remove(location, stage_path(location, shard, run_id))
    return finished


def finish_replacement(location: Location, shard: str, own_run: str) -> None:
    """The same for one shard, whose worker, of the run with this id, may have been killed a moment ago.

    Raises:
        OutputError, Exception: as ``finish_all_replacements``.
    """
    path = journal_path(location, shard)
    if not location.is_local or os.path.lexists(path):
        with replacement_lock(location):
            finish_under_lock(location, shard, own_run)


def finish_under_lock(location: Location, shard: str, own_run: str | None) -> bool:
    """Bring the replacement of a shard to its end, forwards or back; whether that was to be done.

    One whose shard somebody has removed since then is dropped: the next run makes the shard again. That of
    another run which lives on this host is left to it, where no lock keeps the two apart: what it has put so
    far is not to be taken back.
    """
    path = journal_path(location, shard)
    location.file_system.invalidate_cache()
    try:
        file = location.tried(partial(location.file_system.cat_file, path))
    except FileNotFoundError:
        return False
    journal = Journal.from_bytes(file)
    if journal is None:  # it was cut short while it was put: nothing of the shard was changed yet
        remove(location, path)
        return True
    plan = journal.plan
    if not location.is_local and plan.run_id != own_run and other_run_lives(plan.run_id):
        return False
    if not _stands(location, shard):
        _end(location, shard, plan)
    elif _data_are_there(location, shard, plan):
        complete(location, shard, journal)
    else:
        if plan.digest is None and not plan.staged:
            _remove_all(location, plan.data)
        _end(location, shard, plan)
    return True


def _stands(location: Location, shard: str) -> bool:
    """Whether nobody has removed the shard: its statistics are there.

    Not asked where a move removes the old file first: there a crash may have removed them.
    """
    statistics = f"{location.path}/{shard}{STATISTICS_ENDING}"
    return location.shows_partial_files or bool(
        location.tried(partial(location.file_system.exists, statistics))
    )


def _data_are_there(location: Location, shard: str, plan: Plan) -> bool:
    """Whether all new data stand under their final names, or can be moved there."""
    # Staged ones first: without locks another process may be moving them, and the second look finds those.
    staged = _sizes(location, stage_path(location, shard, plan.run_id), plan.data) if plan.staged else {}
    standing = _sizes(location, location.path, plan.data)
    if any(size not in (staged.get(name), standing.get(name)) for name, size in plan.data.items()):
        return False
    if plan.digest is None:
        return True
    (name,) = plan.data
    return bool(location.tried(partial(_stored_digest, location, name)) == plan.digest)


def _sizes(location: Location, folder: str, names: Iterable[str]) -> dict[str, int]:
    """The sizes in bytes of those of the files, named as under the folder, that are there."""
    sizes: dict[str, int] = {}
    for inner in {name.rpartition("/")[0] for name in names}:
        path = f"{folder}/{inner}".rstrip("/")
        with contextlib.suppress(FileNotFoundError):
            for entry in location.tried(partial(location.file_system.ls, path, detail=True)):
                name = f"{inner}/{entry['name'].rpartition('/')[2]}".lstrip("/")
                sizes[name] = entry["size"]
    return sizes


def _stored_digest(location: Location, name: str) -> str:
    with location.file_system.open(f"{location.path}/{name}", "rb") as file:
        return digest_of(file)


def complete(location: Location, shard: str, journal: Journal) -> None:
    """From the commit point on: the new data are where they belong, or staged."""
    plan = journal.plan
    if plan.staged:
        _move_data(location, shard, plan)
    for name in plan.vouching:
        flush_names(location, location.path)  # the names that this file vouches for
        if plan.staged:
            move(location, f"{stage_path(location, shard, plan.run_id)}/{name}", f"{location.path}/{name}")
        else:
            put_object(location, f"{location.path}/{name}", journal.contents[name])
    flush_names(location, location.path)
    _remove_all(location, plan.removals)
    _end(location, shard, plan)


def _move_data(location: Location, shard: str, plan: Plan) -> None:
    stage = stage_path(location, shard, plan.run_id)
    folders = {name.rpartition("/")[0] for name in plan.data} - {""}
    for inner in folders:
        make_folder(location, f"{location.path}/{inner}")
    for name in sorted(plan.data, key=_image_last):
        move(location, f"{stage}/{name}", f"{location.path}/{name}")
    for inner in folders:
        flush_names(location, f"{location.path}/{inner}")


def _image_last(name: str) -> tuple[str, bool]:
    key, _, ending = name.partition(".")
    return key, ending not in ("json", "txt")


def put_object(location: Location, path: str, contents: bytes) -> None:
    """Put a small object, in place of what stands there."""
    location.tried(partial(location.file_system.pipe_file, path, contents))


def _remove_all(location: Location, names: Iterable[str]) -> None:
    """Remove what is there of these names under the output folder: files, or folders that others made."""
    for name in names:
        remove(location, f"{location.path}/{name}")


def _end(location: Location, shard: str, plan: Plan) -> None:
    """Remove the journal: the old shard stands whole, or the new one."""
    remove(location, journal_path(location, shard))
    if plan.staged:
        remove(location, stage_path(location, shard, plan.run_id))


@contextlib.contextmanager
def replacement_lock(location: Location) -> Iterator[bool]:
    """Make the folder of journals, and be alone with it among all processes and machines that see its locks.

    Yields whether that is so. A killed process gives the lock back. Its file and the folder are removed when
    nothing else is left in it. Nobody is kept out where the file system has no locks, or is not local; there
    no folder is made either, if it is not local.

    Raises:
        OutputError: another process has held it for a minute.
    """
    folder = journals_folder(location)
    if not location.is_local:
        yield False
        return
    with contextlib.ExitStack() as held:
        try:
            alone = held.enter_context(alone_in(folder, _LOCK_WAIT_S))
        except LockBusy:
            raise OutputError(
                f"{folder!r} has been locked for {_LOCK_WAIT_S:.0f} seconds by another process that puts "
                "shards in place: wait for it or end it, and run this again"
            ) from None
        yield alone

"""Replacing the files of a finished shard, so that the old shard or the new one stands whole after any crash.

In: a folder of new files that is complete. Out: the same files in place of the old ones. Called by the
commit, and by ``OutputFolder.finish_rewrites`` and ``open_finished_shard``, which bring to its end what was
cut short.

A rewrite is a journal. Its new files, statistics included, are first completed and flushed among a run's
temporary files. One rename to ``.img2dataset_rewrites/00000/`` is the commit point: before it the old shard
stands, untouched; from then on the new one is certain, since whoever comes next moves what is not moved yet.
Files move one by one over the old ones, data first, then metadata, then statistics. What a reader or a crash
finds in between is the new data with the old metadata: every sample that the old metadata calls a success is
in the new data too, bit for bit.

A shard of format ``files`` keeps its folder. New samples move into it, image last, so that every image has
its metadata beside it; files of rows that are no success any more leave it at the end. Nothing that stays is
linked, copied or moved: a reader in the folder sees samples come, and none go.

There is one journal a shard, and it is never overwritten: steps of two processes at the same one, in whatever
order, come to the same end. The lock keeps them apart all the same, where the file system has locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import REWRITES_FOLDER, STATISTICS_ENDING
from img2dataset.storage.locations import Location
from img2dataset.storage.locks import LOCK_NAME, LockBusy, alone_in
from img2dataset.storage.moving import FsspecPlace, LocalPlace, Place
from img2dataset.working.store_journal import finish_store_rewrite, store_journals

# The journal's list of files to remove from the folder of a ``files`` shard.
REMOVALS_NAME = "removals.json"

# Moving the ten thousand images of a shard with their captions and metadata takes a second.
_LOCK_WAIT_S = 60.0


def finish_all_rewrites(location: Location) -> list[str]:
    """Bring every rewrite to its end that was cut short after its commit point; the shards' names.

    Rewrites cut short before it are temporary files of a run, and are removed with them.

    Raises:
        OutputError: another process has held the lock for too long.
        OSError: a file cannot be moved.
    """
    place = place_of(location)
    if place is None:
        return [shard for shard in store_journals(location) if finish_store_rewrite(location, shard)]
    if not place.exists(rewrites_folder(location)):
        return []
    finished = []
    with rewrite_lock(location):
        for shard in sorted(place.names(rewrites_folder(location))):
            if shard != LOCK_NAME:
                finish_rewrite(location, place, shard)
                finished.append(shard)
    return finished


def finish_rewrite_of(location: Location, shard: str, own_run: str) -> None:
    """The same for one shard, whose worker, of the run with this id, may have been killed a moment ago.

    Raises:
        OutputError, OSError: as ``finish_all_rewrites``.
    """
    place = place_of(location)
    if place is None:
        finish_store_rewrite(location, shard, own_run)
    elif place.exists(journal_of(location, shard)):
        with rewrite_lock(location):
            finish_rewrite(location, place, shard)


def finish_rewrite(location: Location, place: Place, shard: str) -> None:
    """Move what is in the shard's journal to where it belongs, and remove the journal. Under the lock.

    A journal whose shard somebody has removed since then is dropped: the next run makes the shard again.

    Raises:
        OSError: a file cannot be moved; what is left is moved by the next call.
    """
    journal, output_folder = journal_of(location, shard), location.path
    statistics = shard + STATISTICS_ENDING
    if not place.exists(journal):
        return
    names = sorted(place.names(journal), key=_order)
    if location.is_local and statistics in names and not os.path.lexists(f"{output_folder}/{statistics}"):
        shutil.rmtree(journal)
        return
    for name in names:
        source, target = f"{journal}/{name}", f"{output_folder}/{name}"
        if name == REMOVALS_NAME:
            place.flush(output_folder)
            _remove_files(place, source, f"{output_folder}/{shard}")
        elif place.is_folder(source):
            _move_samples(place, source, target)
        else:
            if name == statistics:
                place.flush(output_folder)  # the names of data and metadata, before these vouch for them
            place.move(source, target)
    place.flush(output_folder)
    place.remove_folder(journal)


def _move_samples(place: Place, source: str, target: str) -> None:
    place.make_folder(target)
    for name in sorted(place.names(source), key=_order_of_sample_file):
        place.move(f"{source}/{name}", f"{target}/{name}")
    place.flush(target)
    place.remove_folder(source)


def _remove_files(place: Place, removals: str, folder: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process was as far, and has removed the list
        for name in json.loads(place.read(removals)):
            place.remove_file(f"{folder}/{name}")
    place.remove_file(removals)


def _order(name: str) -> int:
    """Data, metadata, statistics, removals."""
    if name == REMOVALS_NAME:
        return 3
    if name.endswith(STATISTICS_ENDING):
        return 2
    return 1 if name.endswith(".parquet") else 0


def _order_of_sample_file(name: str) -> tuple[str, bool]:
    key, _, ending = name.partition(".")
    return key, ending not in ("json", "txt")


def place_of(location: Location) -> Place | None:
    """How files are moved there; None on an object store: see ``store_journal``."""
    if location.is_local:
        return LocalPlace()
    return FsspecPlace(location.file_system) if location.shows_partial_files else None


def rewrites_folder(location: Location) -> str:
    """Hidden, and met by no glob for data."""
    return f"{location.path}/{REWRITES_FOLDER}"


def journal_of(location: Location, shard: str) -> str:
    """The folder of new files that are certain to replace the shard's."""
    return f"{rewrites_folder(location)}/{shard}"


@contextlib.contextmanager
def rewrite_lock(location: Location) -> Iterator[None]:
    """Make the folder of rewrites and be alone with it, among all processes and machines that see its locks.

    A killed process gives it up. Its file and the folder go when nobody is left in it; where the file system
    has no locks, and elsewhere than on a local one, they do nothing.

    Raises:
        OutputError: another process has held it for a minute.
    """
    if not location.is_local:
        place = place_of(location)
        if place is not None:
            place.make_folder(rewrites_folder(location))
        yield
        return
    folder = rewrites_folder(location)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(alone_in(folder, _LOCK_WAIT_S))
        except LockBusy:
            raise OutputError(
                f"{folder!r} has been locked for {_LOCK_WAIT_S:.0f} seconds by another process that puts "
                "shards in place: wait for it or end it, and run this again"
            ) from None
        yield

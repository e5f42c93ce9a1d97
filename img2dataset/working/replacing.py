"""Replacing a finished shard, so that after any crash the old shard or the new one stands whole.

In: a folder of new files that is complete, and what is known of the shard that they replace. Out: the new
shard in place of the old one. Called by the commit. ``completing`` brings to its end what is cut short.

In this order, whatever the file system:
1. where files can be moved (the local disk, SFTP, HDFS), all new files are staged beside the journal;
2. the journal is put (``replacement_journal``): the commit point where files are staged;
3. the data are put or moved: the commit point on an object store;
4. metadata, then statistics are moved, or put from the journal;
5. files of a ``files`` shard that are no part of the new one go, and at last the journal.

What a reader finds in between is the new data with the old metadata: every sample that the old metadata call
a success is in the new data too, bit for bit. Of a ``files`` shard the samples that stay are not touched; new
ones come file by file: where they are moved, the image last, so that it has its metadata beside it; on an
object store in any order.

Who finds a journal goes on from step 3 if files are staged, and from step 4 if all new data were put. Else
(an object store, cut short before that) the old shard stands, and new samples are removed again.

On the local disk a lock keeps processes apart, among them those of other machines that see its locks.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import STATISTICS_ENDING
from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import flush_names, flush_to_disk, move
from img2dataset.storage.putting import put_files
from img2dataset.storage.renaming import replace_file
from img2dataset.working.completing import complete, finish_under_lock, put_object, replacement_lock
from img2dataset.working.replacement_journal import (
    Journal,
    journal_path,
    journals_folder,
    new_journal,
    stage_path,
)

# ext4 flushes once for all that wait at the same time: 3000 files take 0.3 s; one after the other, 11 s.
_FLUSHES_AT_ONCE = 32
# The journal's name in the folder of staged files, from where it is moved beside that folder.
_JOURNAL_NAME = "journal"


@dataclass(frozen=True, slots=True)
class ReplacedShard:
    """The finished shard that a commit replaces, as its rows were taken over.

    ``statistics_text`` is its statistics file as it stood then; ``retried_keys`` are those of the rows that
    were not taken over: what stands under these keys is removed, unless it was made again.
    """

    statistics_text: bytes
    retried_keys: frozenset[str]

    def still_stands(self, location: Location, statistics: str, new: bytes) -> bool:
        """Whether it stands as it was; False where this replacement has been made, by a try that failed.

        Args:
            location: of the output folder.
            statistics: the name of its statistics.
            new: the contents of those that replace them. Their times are this attempt's alone.

        Raises:
            OutputError: another run has replaced or removed it since; what that run has won would be lost.
        """
        try:
            path = f"{location.path}/{statistics}"
            standing = location.tried(lambda: location.file_system.cat_file(path))
        except FileNotFoundError:
            standing = None
        if standing not in (self.statistics_text, new):
            change = "removed" if standing is None else "changed"
            raise OutputError(
                f"output_folder {location.name!r}: another run has {change} {statistics} while the shard's "
                "failed rows were retried; let one run work on the folder, and run this again"
            )
        return bool(standing == self.statistics_text)


def replace_shard(
    location: Location,
    run_id: str,
    folder: str,
    names: list[str],
    statistics: str,
    replaced: ReplacedShard | None,
) -> None:
    """Put new files in place of those of a finished shard.

    Args:
        location: of the output folder.
        run_id: of the run.
        folder: of the complete new files, on the local disk; if that is the output folder's, it is gone on
            return.
        names: data and metadata in it; the data come first.
        statistics: the name of the statistics in it.
        replaced: what was taken over; None if the whole shard was made again.

    Raises:
        OutputError: the shard was replaced or removed meanwhile, or the lock is held; the old shard stands.
        OSError: before the commit point, the old shard stands; after it, the next call or run does the rest.
    """
    shard = statistics.removesuffix(STATISTICS_ENDING)
    if location.is_local:
        _flush_files(folder)
    with replacement_lock(location):
        finish_under_lock(location, shard, run_id)  # an earlier one, cut short
        if replaced is not None:
            new = Path(folder, statistics).read_bytes()
            if not replaced.still_stands(location, statistics, new):
                return
        staged = location.is_local or location.shows_partial_files
        removals = _removals(location, shard, folder, names, replaced)
        journal = new_journal(run_id, folder, names, statistics, removals, staged)
        if staged:
            _stage_and_put_journal(location, shard, folder, journal)
        else:
            put_object(location, journal_path(location, shard), journal.to_bytes())
            files = [(os.path.join(folder, name), f"{location.path}/{name}") for name in journal.plan.data]
            put_files(location, files)
        complete(location, shard, journal)


def _stage_and_put_journal(location: Location, shard: str, folder: str, journal: Journal) -> None:
    """Have the new files stand beside the journal, whole, and then the journal."""
    stage = stage_path(location, shard, journal.plan.run_id)
    remove(location, stage)  # of an attempt that was cut short before its journal
    try:
        if location.is_local:
            replace_file(folder, stage)
        else:
            _upload_stage(location, folder, stage, [*journal.plan.data, *journal.plan.vouching])
        temporary = f"{stage}/{_JOURNAL_NAME}"
        location.tried(partial(location.file_system.pipe_file, temporary, journal.to_bytes()))
        if location.is_local:
            flush_to_disk(temporary)
        flush_names(location, stage)
        move(location, temporary, journal_path(location, shard))
    except BaseException:
        with contextlib.suppress(Exception):
            remove(location, stage)
        raise
    flush_names(location, journals_folder(location))


def _upload_stage(location: Location, folder: str, stage: str, names: list[str]) -> None:
    for inner in {f"{stage}/{name}".rpartition("/")[0] for name in names}:
        location.tried(partial(location.file_system.makedirs, inner, exist_ok=True))
    put_files(location, [(os.path.join(folder, name), f"{stage}/{name}") for name in names])


def _removals(
    location: Location, shard: str, folder: str, names: list[str], replaced: ReplacedShard | None
) -> list[str]:
    """Names under the output folder of the ``files`` shard's files that are no part of the new one.

    Files that are named like none of its samples stay, unless the whole shard is made again (``replaced`` is
    None).
    """
    if shard not in names:
        return []
    new = set(os.listdir(os.path.join(folder, shard)))
    return sorted(
        f"{shard}/{name}"
        for name in names_in(location, f"{location.path}/{shard}")
        if name not in new and (replaced is None or name.partition(".")[0] in replaced.retried_keys)
    )


def _flush_files(folder: str) -> None:
    """Wait until every file in a folder, and every name in its folders, is on the disk."""
    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    with ThreadPoolExecutor(_FLUSHES_AT_ONCE) as flushes:
        for _ in flushes.map(flush_to_disk, paths):
            pass  # raises what a flush raised
    for parent, _, _ in os.walk(folder):
        flush_to_disk(parent)

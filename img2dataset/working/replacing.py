"""The commit of a shard over a finished one: what is checked, what goes, and the journal on the local disk.

In: the complete new files, and what is known of the shard that they replace. Out: the new shard in place of
the old one. Called by the shard folders of ``commit``.

What stands after a crash, of the process or the machine, on the local disk, HDFS, SFTP and their like:
- before the commit point: the old shard; the new files are temporary files of a dead run;
- after it: the new shard, once ``finish_rewrites`` has moved what was not moved yet.

On an object store the same holds by other means: see ``store_journal``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import STATISTICS_ENDING
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import LocalPlace, flush_to_disk
from img2dataset.working.rewriting import (
    REMOVALS_NAME,
    finish_rewrite,
    journal_of,
    rewrite_lock,
    rewrites_folder,
)

# ext4 writes one journal entry for all that wait: 3000 files take 0.3 s, one after the other 11.
_FLUSHES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ReplacedShard:
    """The finished shard that a commit replaces, as its rows were taken over.

    ``statistics_text`` is its statistics file as it stood then; ``retaken_keys`` are of the rows that were
    not taken over: what stands under these keys is of the past.
    """

    statistics_text: bytes
    retaken_keys: frozenset[str]

    def check_still_stands(self, location: Location, statistics: str) -> None:
        """Refuse to replace a shard that another run has replaced or removed since.

        What that run has won would be lost.

        Raises:
            OutputError: its statistics are others, or gone.
        """
        try:
            standing = location.file_system.cat_file(f"{location.path}/{statistics}")
        except FileNotFoundError:
            standing = None
        if standing != self.statistics_text:
            change = "removed" if standing is None else "changed"
            raise OutputError(
                f"output_folder {location.name!r}: another run has {change} {statistics} while the shard's "
                "failed rows were retried; let one run work on the folder, and run this again"
            )


def files_to_remove(
    standing: Iterable[str], new_files: Iterable[str], replaced: ReplacedShard | None
) -> list[str]:
    """The files of a ``files`` shard that are no part of the new one.

    Files that are named like none of its samples stay, unless the whole shard is made again (``replaced`` is
    None).
    """
    new = set(new_files)
    return sorted(
        name
        for name in standing
        if name not in new and (replaced is None or name.partition(".")[0] in replaced.retaken_keys)
    )


def replace_on_local_disk(
    location: Location, folder: str, names: list[str], statistics: str, replaced: ReplacedShard | None
) -> None:
    """Make ``folder`` the journal of a rewrite, and bring it to its end.

    Args:
        location: of the output folder.
        folder: of the complete new files, on the same file system; gone on return.
        names: data and metadata in it.
        statistics: the name of the statistics in it.
        replaced: what was taken over; None if the whole shard was made again.

    Raises:
        OutputError: the shard was replaced or removed meanwhile, or the lock is held; the old shard stands.
        OSError: before the commit point, the old shard stands; after it, the next call or run moves the rest.
    """
    place, shard = LocalPlace(), statistics.removesuffix(STATISTICS_ENDING)
    _flush_files(folder)
    with rewrite_lock(location):
        finish_rewrite(location, place, shard)  # an earlier one, cut short
        if replaced is not None:
            replaced.check_still_stands(location, statistics)
        if shard in names:
            standing = place.names(f"{location.path}/{shard}")
            removals = files_to_remove(standing, os.listdir(os.path.join(folder, shard)), replaced)
            if removals:
                write_removals(folder, removals)
                flush_to_disk(os.path.join(folder, REMOVALS_NAME))
        flush_to_disk(folder)
        os.rename(folder, journal_of(location, shard))
        flush_to_disk(rewrites_folder(location))
        finish_rewrite(location, place, shard)


def write_removals(folder: str, removals: list[str]) -> None:
    """Write the list of files to remove at the end, as a file of the journal."""
    with open(os.path.join(folder, REMOVALS_NAME), "w", encoding="ascii") as file:
        json.dump(removals, file)


def _flush_files(folder: str) -> None:
    """Wait until every file in a folder, and every name in its folders, is on the disk."""
    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    with ThreadPoolExecutor(_FLUSHES_AT_ONCE) as flushes:
        for _ in flushes.map(flush_to_disk, paths):
            pass  # raises what a flush raised
    for parent, _, _ in os.walk(folder):
        flush_to_disk(parent)

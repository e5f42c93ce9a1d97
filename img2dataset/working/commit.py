"""How a finished shard's files come to stand under their final names.

In: a temporary folder that holds a shard's whole files. Out: the same files in the output folder, in an
order such that the statistics are the last, and never a partial file under a final name. Called by
``ShardWriter``.

Of a shard that is made, a crash between any two steps leaves no statistics, which means not done: the next
run makes it again and replaces what there is. A shard that is done already is replaced (see ``replacing``): a
crash leaves the old one or the new one, whole. But where the output folder is not local and no rows were
taken over, its statistics are removed first, and it counts as not done until the new ones stand.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from typing import Protocol

from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import flush_to_disk
from img2dataset.storage.putting import put_files
from img2dataset.storage.renaming import replace_file
from img2dataset.storage.retries import with_retries
from img2dataset.storage.temporaries import make_temporary_folder, run_folder
from img2dataset.working.replacing import ReplacedShard, replace_shard


class ShardFolder(Protocol):
    """Where one attempt at a shard puts its files until they are whole."""

    path: str
    location: Location

    def publish(self, names: list[str], statistics: str, replaced: ReplacedShard | None = None) -> None:
        """Put the files and folders ``names`` in place, in order, and then the statistics.

        Args:
            names: data and metadata.
            statistics: the name of the statistics.
            replaced: the finished shard that rows were taken over from, if any.

        Raises:
            OutputError: that shard was replaced or removed meanwhile.
            OSError: a file cannot be put in place.
        """

    def remove(self) -> None:
        """Remove what is left; never raises."""


def open_shard_folder(settings: WriteSettings, shard: str) -> ShardFolder:
    """A new temporary folder for one attempt at a shard.

    Two attempts at one shard (a worker given up for dead, and its successor) never share a folder.

    Raises:
        OSError: it cannot be made.
    """
    location = settings.locate()
    if location.is_local:
        return LocalShardFolder(location, settings.run_id, shard)
    return SpooledShardFolder(location, settings.run_id, shard, settings.spool_folder)


class LocalShardFolder:
    """Files are written in a hidden folder of the output folder, then renamed: one step, no copy.

    Single files are flushed to the disk before they are renamed, so that a power cut cannot leave an
    empty file under a final name. A shard of format ``files`` is not, but for its metadata: flushing
    tens of thousands of files one by one takes longer than making them.
    """

    def __init__(self, location: Location, run_id: str, shard: str) -> None:
        self.location = location
        self._run_id = run_id
        self.path = make_temporary_folder(location, run_id, shard)

    def publish(self, names: list[str], statistics: str, replaced: ReplacedShard | None = None) -> None:
        if replaced is not None or os.path.lexists(os.path.join(self.location.path, statistics)):
            replace_shard(self.location, self._run_id, self.path, names, statistics, replaced)
            return
        for name in names:
            self._rename(name)
        if names:
            flush_to_disk(self.location.path)  # the files' names, before the statistics vouch for them
        self._rename(statistics)
        self.remove()

    def _rename(self, name: str) -> None:
        source = os.path.join(self.path, name)
        target = os.path.join(self.location.path, name)
        if os.path.isdir(source):
            if os.path.lexists(target):  # a folder can only be renamed onto an empty one
                replace_file(target, os.path.join(self.path, f"replaced-{name}"))
        else:
            flush_to_disk(source)
            if os.path.isdir(target) and not os.path.islink(target):
                replace_file(target, os.path.join(self.path, f"replaced-{name}"))
        replace_file(source, target)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class SpooledShardFolder:
    """Files are written on the local disk, then uploaded in one piece each.

    The spool is ``spool_folder``, or where ``TMPDIR`` says; it holds the open shards of the worker and those
    that wait for their upload, which are few (``uploads``).
    """

    def __init__(self, location: Location, run_id: str, shard: str, spool: str | None = None) -> None:
        self.location = location
        self._run_id = run_id
        self.path = make_temporary_folder(location, run_id, shard, spool)
        # Of what is on its way there, where an upload can be seen.
        self._temporary = f"{run_folder(location, run_id)}/{os.path.basename(self.path)}"

    def publish(self, names: list[str], statistics: str, replaced: ReplacedShard | None = None) -> None:
        if replaced is not None:
            replace_shard(self.location, self._run_id, self.path, names, statistics, replaced)
            self.remove()
            return
        file_system = self.location.file_system
        final_statistics = f"{self.location.path}/{statistics}"
        if with_retries(lambda: file_system.exists(final_statistics)):
            with_retries(lambda: file_system.rm_file(final_statistics))
        for name in names:
            if os.path.isdir(os.path.join(self.path, name)):
                self._remove_folder(name)
        for files in self._uploads([*names, statistics]):
            self._upload_all(files)
        self.remove()

    def _uploads(self, names: Iterable[str]) -> Iterator[list[tuple[str, str]]]:
        """For each file or folder, in order, the local path and the name of each file of it."""
        for name in names:
            source = os.path.join(self.path, name)
            if os.path.isdir(source):
                yield [(os.path.join(source, file), f"{name}/{file}") for file in sorted(os.listdir(source))]
            else:
                yield [(source, name)]

    def _remove_folder(self, name: str) -> None:
        target = f"{self.location.path}/{name}"
        remove(self.location, target)
        self.location.file_system.makedirs(target, exist_ok=True)

    def _upload_all(self, files: list[tuple[str, str]]) -> None:
        targets = [(source, f"{self.location.path}/{name}") for source, name in files]
        put_files(self.location, targets, f"{self._temporary}-")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

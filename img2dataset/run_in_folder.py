"""One run in its output folder: which shards it leaves as they are, which it makes, and what is noted of it.

Made by ``preparing``, used by the api.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from img2dataset.counted import counted
from img2dataset.errors import OutputError
from img2dataset.formats import output_format
from img2dataset.manifest import MANIFEST_NAME, Manifest, OthersShards, RunRecord
from img2dataset.options import Options
from img2dataset.reading import Reader
from img2dataset.types import PlannedShard, RowsSpec, Shard
from img2dataset.work_line import work_line
from img2dataset.working.output_folder import OutputFolder

if TYPE_CHECKING:
    from img2dataset.reading import KnownUrls

# Hands out the shards of the run, but those that it is told to skip.
Read = Callable[[Container[int]], Iterator[PlannedShard]]
# The same with the rows of each.
ReadRows = Callable[[Container[int]], Iterator[Shard]]


@dataclass
class RunInFolder:
    """One run and its output folder.

    ``manifest`` is what the folder's runs were made with and from, ``record`` this run's part of it. ``done``
    are the shards that an earlier run has finished; ``to_retry`` are those of them with rows to retry,
    and their successes so far; ``cut_short`` is the ``new_only`` run that this one goes on with. ``others``
    are shards of other lists: this one must not come to them. ``known_rows`` are the rows that ``new_only``
    has left out in this pass.
    """

    output: OutputFolder
    options: Options
    reader: Reader
    manifest: Manifest
    record: RunRecord
    done: set[int]
    to_retry: dict[int, int] = field(default_factory=dict)
    cut_short: RunRecord | None = None
    others: OthersShards = field(default_factory=OthersShards)
    known_rows: int = 0

    @property
    def skipped(self) -> set[int]:
        """The shards that this run leaves as they are."""
        return self.done - self.to_retry.keys()

    @property
    def takes_rows_from_folder(self) -> bool:
        """Whether the rows to retry come from the folder, since the list does not tell its shards."""
        return self.options.incremental_mode == "retry_failed" and self.record.mode == "new_only"

    @contextlib.contextmanager
    def reading(self, by_place: bool = False) -> Iterator[Read]:
        """What hands out the shards of this run: the list's, or those of its rows that are not there yet.

        Args:
            by_place: where the list can be entered in the middle, say only where the rows of each lie.
        """
        if self.takes_rows_from_folder:
            from img2dataset.reading.folder_rows import shards_of_folder

            paths, columns = self.output.metadata_path, self.reader.columns
            yield _as_rows(lambda skip: shards_of_folder(sorted(self.to_retry), skip, paths, columns))
        elif self.options.incremental_mode == "new_only":
            with self._reading_new_rows() as read:
                yield _as_rows(read)
        elif self.reader.has_marks or self.options.allow_mixing or not self.skipped:
            first, others = self.record.first_shard_id, self.others
            if by_place:
                yield lambda skip: self.reader.plan(skip, first, others)
            else:
                yield _as_rows(lambda skip: self.reader.shards(skip, first, others))
        else:
            yield _as_rows(self._reading_after_comparing())

    def finish(self, all_made: bool) -> None:
        """Note how many rows each file of the list has, and that the run came to its end if all was made.

        The same command goes on with a run that has failed shards, as with one that was interrupted.
        """
        if not self.takes_rows_from_folder:
            self.record.ended = time.time() if all_made else None
        for file, rows in zip(self.record.files, self.reader.rows_of_files, strict=False):
            file["rows"] = rows
        self._write_manifest()

    def _write_manifest(self) -> None:
        self.output.write_note(MANIFEST_NAME, self.manifest.to_text())

    def _reading_after_comparing(self) -> ReadRows:
        """For a list that nothing but its rows tells from another: they are compared with the folder's."""
        from img2dataset.reading.same_rows import shards_after_comparing

        if not output_format(self.options.output_format).keeps_metadata:
            raise OutputError(
                f"output_folder {self.options.output_folder!r} has shards of format dummy, which do not say"
                " from which rows they were made, and this list cannot be told from another; choose another"
                " folder, or --allow_mixing to go on anyway"
            )
        paths, first = self.output.metadata_path, self.record.first_shard_id
        return lambda skip: shards_after_comparing(self.reader, skip, self.skipped, paths, first, self.others)

    @contextlib.contextmanager
    def _reading_new_rows(self) -> Iterator[ReadRows]:
        from img2dataset.reading import KnownUrls, only_new_rows

        def count(rows: int) -> None:
            self.known_rows += rows

        def read(skip: Container[int]) -> Iterator[Shard]:
            self.known_rows = 0
            rows, record = self.options.number_sample_per_shard, self.record
            return only_new_rows(
                self.reader.shards(), known, rows, record.first_shard_id, count, skip, record.gaps
            )

        with KnownUrls(tempfile.gettempdir()) as known:
            self._read_known(known)
            yield read

    def _read_known(self, known: KnownUrls) -> None:
        """Read which URLs are left out and where this run begins; note both before a shard is made."""
        before = self._shards_before()
        with work_line("known URLs", "shards", len(self.done)) as line:

            def show(read: int, urls: int) -> None:
                line.note(counted(urls, "URL"))
                line.advance_to(read)

            known.add_from_metadata(self.output.metadata_paths(before), show)
            # A run that leaves the same URLs out gives every shard the rows that it had. There are others if
            # retry_failed, say, has won some since; which matters only if a shard was made.
            if known.fingerprint != self.record.left_out_fingerprint and before != self.done:
                known.add_from_metadata(self.output.metadata_paths(self.done - before), show)
                self._begin_behind_all_shards()
        self.record.left_out_fingerprint = known.fingerprint
        self._write_manifest()

    def _shards_before(self) -> set[int]:
        """The finished shards that are not of this run: those whose URLs ``new_only`` leaves out."""
        own, first = set(self.record.gaps), self.record.first_shard_id
        return {shard_id for shard_id in self.done if shard_id < first and shard_id not in own}

    def _begin_behind_all_shards(self) -> None:
        """Let a ``new_only`` run that cannot go on begin anew."""
        if self.cut_short is not None:
            self.manifest.runs[-1:] = [self.cut_short, self.record]
        self.record.first_shard_id = (self.output.highest_shard() or 0) + 1
        self.record.gaps = gaps_below(self.record.first_shard_id, self.done)


def _as_rows(read: ReadRows) -> Read:
    return lambda skip: map(RowsSpec, read(skip))


def gaps_below(end: int, done: set[int]) -> list[int]:
    """The numbers below ``end`` that no finished shard has, such as one that was damaged and removed."""
    return [number for number in range(end) if number not in done]

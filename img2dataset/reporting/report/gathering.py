"""All that a report says of a folder: statistics, columns, logs and the record of its runs, put together.

In: a location. Out: ``Gathered``. What cannot be read is counted and left out: a report of most of a dataset
says more than none.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import img2dataset.reporting.report.folder as folders
from img2dataset.errors import one_line
from img2dataset.formats.dataset import metadata_name
from img2dataset.manifest import MANIFEST_NAME, Manifest, RunRecord
from img2dataset.reporting.event_log import read_logs
from img2dataset.reporting.events import RunLog
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import Finding, find
from img2dataset.reporting.report.columns import COLUMNS, ColumnCounts
from img2dataset.reporting.report.folder import Folder, Statistics
from img2dataset.reporting.report.former_messages import in_todays_words
from img2dataset.reporting.surroundings import Surroundings
from img2dataset.storage.folders import side_by_side
from img2dataset.storage.locations import Location
from img2dataset.storage.notes import read_note
from img2dataset.types import ShardReport
from img2dataset.work_line import with_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger("img2dataset")

# What the logs say of time and memory is told of the whole folder if they have so much of its rows.
_SHARE_OF_LOGS = 0.9


@dataclass
class Gathered:
    """What is known of a folder.

    ``of_logs``: facts of all that its logs tell. ``with_metadata``: shards whose metadata were read.
    """

    folder: Folder
    statistics: Statistics
    counts: ColumnCounts
    with_metadata: list[str]
    unreadable_metadata: int
    logs: list[RunLog]
    of_logs: Facts
    runs: list[RunRecord]

    @property
    def is_of_no_run(self) -> bool:
        """Whether nothing here was left by a run."""
        return not (self.folder.shards or self.logs or self.runs)

    @property
    def is_part(self) -> bool:
        """Whether only a part of the shards was read."""
        return len(self.statistics.each) < len(self.folder.shards)

    @property
    def surroundings(self) -> Surroundings:
        """Those of the last run that is known."""
        if self.logs:
            return self.logs[-1].run.surroundings
        if self.runs:
            return Surroundings(version=self.runs[-1].version, python=self.runs[-1].python)
        return Surroundings(version="")

    @functools.cached_property
    def facts(self) -> Facts:
        """The folder as findings ask for it: what lies there, and what the logs know beside."""
        facts = Facts()
        for stats in self.statistics.each:
            facts.add_report(ShardReport(stats.shard_id, stats))
        facts.messages = in_todays_words(facts.messages)
        facts.hosts = Counter(self.counts.hosts)
        facts.troubles = {host: in_todays_words(messages) for host, messages in self.counts.troubles.items()}
        if self.logs:
            last = self._last_facts()
            facts.failed_shards, facts.errors = last.failed_shards, last.errors
        logged = self.of_logs
        facts.measured, facts.repeated = self.counts.rows, self.by_url.more_than_once
        facts.bytes_in, facts.bytes_out = logged.bytes_in, logged.bytes_out
        facts.not_images = logged.not_images
        if logged.measured >= _SHARE_OF_LOGS * facts.count and not self.is_part:
            facts.worker_s, facts.cpu_s = logged.worker_s, logged.cpu_s
            facts.waited_s, facts.memory = logged.waited_s, logged.memory
        return facts

    def findings(self) -> list[Finding]:
        """What there is to say of the folder, what matters most first."""
        return find(self.facts, self.surroundings)

    def _last_facts(self) -> Facts:
        """Of the programs of the last run: shards that others have made since have not failed."""
        began = self.logs[-1].run.time
        facts = Facts()
        for log in self.logs:
            if log.heard >= began:
                facts.add(log.facts)
        return facts

    @functools.cached_property
    def by_url(self) -> Repetition:
        """How often rows have the URL of another."""
        return repetition_of(self.counts.url_hashes)

    @functools.cached_property
    def by_image(self) -> Repetition:
        """How often images have the bytes of another, where a hash of them is kept."""
        return repetition_of(self.counts.image_hashes)


@dataclass(frozen=True, slots=True)
class Repetition:
    """Of ``count`` things ``different`` ones, and so many times there is the one that is there most often."""

    count: int = 0
    different: int = 0
    most_times: int = 0

    @property
    def more_than_once(self) -> int:
        """Those that an earlier one is equal to."""
        return self.count - self.different


def repetition_of(hashes: Sequence[NDArray[np.uint64]]) -> Repetition:
    """The repetition of these hashes."""
    if not sum(map(len, hashes)):
        return Repetition()
    import numpy as np

    together = np.concatenate(hashes)
    together.sort()
    firsts = np.flatnonzero(np.append(True, together[1:] != together[:-1]))
    times = np.diff(np.append(firsts, len(together)))
    return Repetition(len(together), len(firsts), int(times.max()))


def gather(location: Location, on_problem: Callable[[str], None] = logger.debug) -> Gathered:
    """Read a folder.

    Args:
        location: of it.
        on_problem: told what cannot be read.

    Raises:
        FileNotFoundError: there is no such folder.
        Exception: it cannot be listed; every file system has its own errors.
    """
    folder = folders.open_folder(location)
    statistics = folders.read_statistics(folder)
    shards = [shard for shard in folders.shards_of_rows(statistics) if metadata_name(shard) in folder.names]
    counts = ColumnCounts()
    unreadable = 0

    def count(shard: str) -> ColumnCounts | None:
        of_shard = ColumnCounts()
        try:
            for batch in folders.batches_of(folder, shard, COLUMNS):
                of_shard.take(batch)
        except Exception as error:  # not whole, or a run replaces it meanwhile
            on_problem(f"the metadata of shard {shard} cannot be read: {one_line(error)}")
            return None
        return of_shard

    with_metadata = []
    counted_shards = side_by_side(
        location, count, with_line(shards, "reading metadata", "shards", len(shards))
    )
    for shard, of_shard in zip(shards, counted_shards, strict=True):
        if of_shard is None:
            unreadable += 1
        else:
            counts.add(of_shard)
            with_metadata.append(shard)
    logs = _logs(location, on_problem)
    of_logs = Facts()
    for log in logs:
        of_logs.add(log.facts)
    return Gathered(
        folder, statistics, counts, with_metadata, unreadable, logs, of_logs, _runs(folder, on_problem)
    )


def _logs(location: Location, on_problem: Callable[[str], None]) -> list[RunLog]:
    try:
        return read_logs(location)
    except Exception as error:
        on_problem(f"the logs cannot be read: {one_line(error)}")
        return []


def _runs(folder: Folder, on_problem: Callable[[str], None]) -> list[RunRecord]:
    if MANIFEST_NAME not in folder.names:
        return []
    try:
        runs = Manifest.from_text(read_note(folder.location, MANIFEST_NAME) or "").runs
    except Exception as error:
        on_problem(f"{MANIFEST_NAME} cannot be read: {one_line(error)}")
        return []
    return runs

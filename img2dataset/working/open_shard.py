"""The life of one shard in a worker: from its rows, over each ended download, to its commit.

The worker calls ``rows_to_fetch`` once, ``take_outcomes`` for each answer and ``commit`` when ``complete``.
When the run is stopped before that, ``put_aside`` keeps what there is.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from img2dataset.errors import OutputError
from img2dataset.failures import NOT_TRIED, URL_MISSING, Failure, is_retried
from img2dataset.fetching.listed_hosts import listed_host
from img2dataset.formats import consent_ledger
from img2dataset.formats.dataset import CONSENT_COLUMN
from img2dataset.storage.retries import may_pass
from img2dataset.types import (
    BBOX_COLUMN,
    EXPECTED_HASH_COLUMN,
    FAILED_TO_DOWNLOAD,
    FAILED_TO_RESIZE,
    SUCCESS,
    Row,
    Sample,
    Shard,
    ShardMeasures,
    ShardReport,
    ShardStats,
    Status,
)
from img2dataset.working.finished_shard import FinishedShard, open_finished_shard
from img2dataset.working.outcomes import Outcome, RowTask
from img2dataset.working.settings import WorkSettings
from img2dataset.working.shard_writer import PreparedShard, ShardWriter
from img2dataset.working.unfinished import open_unfinished_shard
from img2dataset.working.waiting import Waiting

logger = logging.getLogger("img2dataset")

# How many hosts a shard's report names, and failures of each, so that it stays small.
MOST_HOSTS, MOST_TROUBLES = 50, 5


class OpenShard:
    """One shard being made. Rows end in any order; equal URLs are fetched once for all their rows."""

    def __init__(self, shard: Shard, settings: WorkSettings, on_row_done: Callable[[Status], None]):
        self.shard_id = shard.shard_id
        self._settings = settings
        self._on_row_done = on_row_done
        self._start_time = time.time()
        self._began = time.monotonic()
        self._count: int = shard.rows.num_rows
        self._rows_left: int = self._count
        self._statuses: Counter[Status] = Counter()
        self._messages: Counter[str] = Counter()

        columns = shard.rows.column_names
        self._urls: list[str | None] = shard.rows.column("url").to_pylist()
        self._invalid_urls = shard.invalid_urls
        self._captions = _values(shard, "caption") if "caption" in columns else None
        self._boxes = _values(shard, BBOX_COLUMN) if BBOX_COLUMN in columns else None
        self._expected_hashes = _values(shard, EXPECTED_HASH_COLUMN) if settings.verify_hash else None
        visible = [name for name in columns if name not in (BBOX_COLUMN, EXPECTED_HASH_COLUMN)]
        self._input_columns = shard.rows.select(visible)
        # The rows of one URL, by the first of them: the one that is fetched.
        self._rows_of: dict[int, list[int]] = {}
        # What a finished shard keeps while some of its rows are retried.
        self._finished: FinishedShard | None = None
        if settings.retry is not None:
            self._finished = open_finished_shard(settings.write, shard.shard_id)
        # Last: what is raised here leaves no temporary files.
        self._writer = ShardWriter(settings.write, shard.shard_id, self._input_columns)
        # Rows that were taken over from what an earlier run has made of this shard, and those given up.
        self._taken_over = 0
        # What ``measures`` tells.
        self._hosts: Counter[str] = Counter()
        self._troubles: dict[str, Counter[str]] = {}
        self._not_images: Counter[str] = Counter()
        self._repeated = self._bytes_in = self._bytes_out = 0
        self._not_tried: list[int] = []

    @property
    def count(self) -> int:
        """How many rows it has."""
        return self._count

    @property
    def complete(self) -> bool:
        """Whether every row has succeeded or failed."""
        return self._rows_left == 0

    @property
    def rows_left(self) -> int:
        """How many rows are still to come."""
        return self._rows_left

    def rows_to_fetch(self) -> Iterator[Row]:
        """The rows whose URL must be fetched; rows that cannot be fail at once."""
        if self._finished is not None:
            kept = self._rows_to_keep(self._finished, self._settings.retry or ())
            self._keep(self._finished, kept)
        else:
            kept = self._keep_unfinished()
        self._taken_over = len(kept)
        first_of: dict[str, int] = {}
        for index, url in enumerate(self._urls):
            if index in kept:
                continue
            self._hosts[listed_host(url)] += 1
            refusal = self._refusal(index, url)
            if refusal is not None:
                self._record(Outcome(index, FAILED_TO_DOWNLOAD, refusal), asked=False)
            elif url is not None:
                first = first_of.setdefault(url, index)
                self._rows_of.setdefault(first, []).append(index)
                self._repeated += first != index
        for first in self._rows_of:
            yield Row(self.shard_id, first, self._urls[first] or "")

    def _rows_to_keep(self, finished: FinishedShard, retried: tuple[str, ...]) -> set[int]:
        """Those of its rows that are not retried; ``retried`` are beginnings of failures."""
        if finished.metadata.column("url").to_pylist() != self._urls:
            raise OutputError(
                f"shard {finished.name} was made from another list: its URLs differ; give the list that it"
                " was made from"
            )
        messages = finished.metadata.column("error_message").to_pylist()
        return {index for index, message in enumerate(messages) if not is_retried(message, retried)}

    def _keep(self, finished: FinishedShard, indexes: Collection[int]) -> None:
        """Take these rows as they are there."""
        self._writer.keep(finished, indexes)
        statuses = finished.metadata.column("status").to_pylist()
        messages = finished.metadata.column("error_message").to_pylist()
        for index in indexes:
            self._count_row(statuses[index], messages[index])

    def _keep_unfinished(self) -> set[int]:
        """Take the rows that a stopped run has tried; returns them.

        What it has kept and cannot be used is made anew: nothing of it was ever part of the dataset.
        """
        name = self._writer.shard
        try:
            unfinished = open_unfinished_shard(self._settings.write, self.shard_id)
            if unfinished is None:
                return set()
            kept = self._rows_to_keep(unfinished, (NOT_TRIED, *(self._settings.retry or ())))
            self._keep(unfinished, kept)
            return kept
        except (OSError, OutputError) as error:
            if not self._settings.write.locate().is_local and may_pass(error):
                raise  # the store is away, and still has it when it is back
            logger.warning("shard %s: what a stopped run has kept of it cannot be used: %s", name, error)
            self._writer.discard()
            self._writer = ShardWriter(self._settings.write, self.shard_id, self._input_columns)
            return set()

    def _refusal(self, index: int, url: str | None) -> Failure | None:
        """Why a row is not even tried, if so."""
        if url is None or not url.strip():
            return self._invalid_urls.get(index, URL_MISSING)
        return self._writer.input_row_failure(index)

    def tasks(self, first: int) -> list[RowTask]:
        """What to do for each row that waits for the URL of row ``first``."""
        return [
            RowTask(
                index,
                self._boxes[index] if self._boxes is not None else None,
                self._expected_hashes[index] if self._expected_hashes is not None else None,
            )
            for index in self._rows_of[first]
        ]

    def take_outcomes(self, first: int, outcomes: Iterable[Outcome]) -> None:
        """Write the outcomes of every row that waited for the URL of row ``first``.

        Raises:
            OSError, OutputError: the writer cannot go on; the shard is to be discarded.
        """
        for outcome in outcomes:
            self._record(outcome)
        del self._rows_of[first]

    def _record(self, outcome: Outcome, counted: bool = True, asked: bool = True) -> None:
        image = outcome.image
        key = self._writer.key_of(outcome.index)
        metadata: dict[str, Any] = {
            "key": key,
            "status": outcome.status,
            "error_message": outcome.failure,
            "width": image.width if image else None,
            "height": image.height if image else None,
            "original_width": outcome.original_width,
            "original_height": outcome.original_height,
        }
        if self._settings.write.extract_exif:
            metadata["exif"] = image.exif if image else None
        if self._settings.image.compute_hash:
            metadata[self._settings.image.compute_hash] = outcome.digest
        if self._settings.write.consent_column:
            metadata[CONSENT_COLUMN] = consent_ledger.to_text(outcome.signals)
        self._writer.write(
            Sample(
                index=outcome.index,
                key=key,
                image=image.image if image else None,
                extension=image.extension if image else self._settings.write.encode_format,
                caption=self._captions[outcome.index] if self._captions is not None else None,
                metadata=metadata,
            )
        )
        if counted and asked:
            self._measure(outcome)
        self._count_row(outcome.status, outcome.failure, counted)

    def _measure(self, outcome: Outcome) -> None:
        self._bytes_in += outcome.downloaded
        if outcome.image is not None:
            self._bytes_out += len(outcome.image.image)
        if outcome.looks_like is not None:
            self._not_images[outcome.looks_like] += 1
        if outcome.status == FAILED_TO_DOWNLOAD:
            host = listed_host(self._urls[outcome.index])
            self._troubles.setdefault(host, Counter())[outcome.failure or ""] += 1

    def _count_row(self, status: Status, message: str | None, counted: bool = True) -> None:
        self._statuses[status] += 1
        self._messages[SUCCESS if status == SUCCESS else message or ""] += 1
        self._rows_left -= 1
        if counted:
            self._on_row_done(status)

    def commit(self) -> ShardStats:
        """Put the shard under its final name, its statistics last.

        Raises:
            OSError, OutputError: it could not be; the shard is to be discarded.
        """
        stats = self._statistics()
        self._writer.commit(stats)
        return stats

    def prepare(self) -> tuple[PreparedShard, ShardStats]:
        """Complete the shard's files on the local disk; its ``publish`` is then what ``commit`` would do.

        Raises:
            OSError, OutputError: as ``commit``.
        """
        stats = self._statistics()
        return self._writer.prepare(stats), stats

    def _statistics(self) -> ShardStats:
        return ShardStats(
            shard_id=self.shard_id,
            count=self._count,
            successes=self._statuses[SUCCESS],
            failed_to_download=self._statuses[FAILED_TO_DOWNLOAD],
            failed_to_resize=self._statuses[FAILED_TO_RESIZE],
            start_time=self._start_time,
            # Not the wall clock: it can be set back meanwhile.
            end_time=self._start_time + time.monotonic() - self._began,
            status_dict=dict(self._messages.most_common()),
        )

    def give_up(self, first: int) -> None:
        """The URL of row ``first`` will not be fetched in this run."""
        self._not_tried += self._rows_of.pop(first)

    @property
    def waits_for_downloads(self) -> bool:
        """Whether a URL is still to be fetched in this run."""
        return bool(self._rows_of)

    def put_aside(self) -> ShardReport | None:
        """End the shard as far as it has come, for a run that is stopped; None if that is not at all.

        Of a finished shard whose failures were being retried, the rows that were not tried stay as they
        stand, and it is committed. Any other is kept unfinished, for the next run to complete.

        Raises:
            OSError, OutputError: it could not be; the shard is to be discarded.
        """
        for first in list(self._rows_of):
            self.give_up(first)
        newly_tried = self._count - len(self._not_tried) - self._taken_over
        keeps_rows = self._settings.write.format.keeps_metadata
        if not keeps_rows or (self._finished is not None and not newly_tried):
            self.discard()
            return None
        if self._finished is not None:
            self._keep(self._finished, self._not_tried)
            return ShardReport(self.shard_id, stats=self.commit())
        for index in self._not_tried:
            self._record(Outcome(index, FAILED_TO_DOWNLOAD, NOT_TRIED), counted=False)
        stats = self._statistics()
        if newly_tried:
            self._writer.put_aside(stats)
        else:  # what an earlier stop has kept stands where it was
            self.discard()
        return ShardReport(self.shard_id, unfinished=stats) if newly_tried or self._taken_over else None

    def measures(self, waiting: Waiting) -> ShardMeasures:
        """What was seen of this shard in this run, and of its worker since its last report."""
        worst = heapq.nlargest(MOST_HOSTS, self._troubles.items(), key=lambda item: item[1].total())
        seconds, cpu_s, waited_s, memory = waiting.take()
        return ShardMeasures(
            hosts=dict(self._hosts.most_common(MOST_HOSTS)),
            troubles={host: dict(troubles.most_common(MOST_TROUBLES)) for host, troubles in worst},
            not_images=dict(self._not_images),
            repeated=self._repeated,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            taken_over=self._taken_over,
            seconds=seconds,
            cpu_s=cpu_s,
            waited_s=waited_s,
            memory=memory,
        )

    def discard(self) -> None:
        """Remove what was written so far."""
        self._writer.discard()


def _values(shard: Shard, column: str) -> list[Any]:
    values: list[Any] = shard.rows.column(column).to_pylist()
    return values

"""The life of one shard in a worker: from its rows, over each settled download, to its commit.

The worker calls ``rows_to_fetch`` once, ``settle`` for each answer and ``commit`` when ``complete``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from img2dataset.errors import OutputError
from img2dataset.types import (
    BBOX_COLUMN,
    EXPECTED_HASH_COLUMN,
    FAILED_TO_DOWNLOAD,
    FAILED_TO_RESIZE,
    SUCCESS,
    Row,
    Sample,
    Shard,
    ShardStats,
    Status,
)
from img2dataset.working.outcomes import Outcome, RowTask
from img2dataset.working.settings import WorkSettings
from img2dataset.working.taking_again import is_taken_again
from img2dataset.writing import FinishedShard, ShardWriter, open_finished_shard

MISSING_URL = "invalid url: missing"


class OpenShard:
    """One shard being made. Rows settle in any order; equal URLs are fetched once for all their rows."""

    def __init__(self, shard: Shard, settings: WorkSettings, on_settled: Callable[[Status], None]):
        self.shard_id = shard.shard_id
        self._settings = settings
        self._on_settled = on_settled
        self._start_time = time.time()
        self._count: int = shard.rows.num_rows
        self._unsettled: int = self._count
        self._statuses: Counter[Status] = Counter()
        self._messages: Counter[str] = Counter()

        columns = shard.rows.column_names
        self._urls: list[str | None] = shard.rows.column("url").to_pylist()
        self._invalid_urls = shard.invalid_urls
        self._captions = _values(shard, "caption") if "caption" in columns else None
        self._boxes = _values(shard, BBOX_COLUMN) if BBOX_COLUMN in columns else None
        self._expected_hashes = _values(shard, EXPECTED_HASH_COLUMN) if settings.verify_hash else None
        visible = [name for name in columns if name not in (BBOX_COLUMN, EXPECTED_HASH_COLUMN)]
        self._writer = ShardWriter(settings.write, shard.shard_id, shard.rows.select(visible))
        # The rows of one URL, by the first of them: the one that is fetched.
        self._rows_of: dict[int, list[int]] = {}
        # What a finished shard keeps while some of its rows are taken again.
        self._finished: FinishedShard | None = None
        if settings.retry is not None:
            self._finished = open_finished_shard(settings.write, shard.shard_id)

    @property
    def count(self) -> int:
        """How many rows it has."""
        return self._count

    @property
    def complete(self) -> bool:
        """Whether every row has succeeded or failed."""
        return self._unsettled == 0

    @property
    def unsettled(self) -> int:
        """How many rows are still to come."""
        return self._unsettled

    def rows_to_fetch(self) -> Iterator[Row]:
        """The rows whose URL must be fetched; rows that cannot be are settled as failures at once."""
        kept = self._keep(self._finished) if self._finished is not None else ()
        first_of: dict[str, int] = {}
        for index, url in enumerate(self._urls):
            if index in kept:
                continue
            refusal = self._refusal(index, url)
            if refusal is not None:
                self._record(Outcome(index, FAILED_TO_DOWNLOAD, refusal))
            elif url is not None:
                first = first_of.setdefault(url, index)
                self._rows_of.setdefault(first, []).append(index)
        for first in self._rows_of:
            yield Row(self.shard_id, first, self._urls[first] or "")

    def _keep(self, finished: FinishedShard) -> set[int]:
        """Settle the rows that are not taken again as they were; returns them."""
        metadata = finished.metadata
        if metadata.column("url").to_pylist() != self._urls:
            raise OutputError(
                f"shard {finished.name} was made from another list: its URLs differ; give the list that it"
                " was made from"
            )
        statuses = metadata.column("status").to_pylist()
        messages = metadata.column("error_message").to_pylist()
        kept = {
            index
            for index, message in enumerate(messages)
            if not is_taken_again(message, self._settings.retry or ())
        }
        self._writer.keep(finished, kept)
        for index in kept:
            self._count_row(statuses[index], messages[index])
        return kept

    def _refusal(self, index: int, url: str | None) -> str | None:
        """Why a row is not even tried, if so."""
        if url is None or not url.strip():
            return self._invalid_urls.get(index, MISSING_URL)
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

    def settle(self, first: int, outcomes: Iterable[Outcome]) -> None:
        """Write the outcomes of every row that waited for the URL of row ``first``.

        Raises:
            OSError, OutputError: the writer cannot go on; the shard is to be discarded.
        """
        for outcome in outcomes:
            self._record(outcome)
        del self._rows_of[first]

    def _record(self, outcome: Outcome) -> None:
        image = outcome.image
        key = self._writer.key_of(outcome.index)
        metadata: dict[str, Any] = {
            "key": key,
            "status": outcome.status,
            "error_message": outcome.message,
            "width": image.width if image else None,
            "height": image.height if image else None,
            "original_width": outcome.original_width,
            "original_height": outcome.original_height,
        }
        if self._settings.write.extract_exif:
            metadata["exif"] = image.exif if image else None
        if self._settings.compute_hash:
            metadata[self._settings.compute_hash] = outcome.digest
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
        self._count_row(outcome.status, outcome.message)

    def _count_row(self, status: Status, message: str | None) -> None:
        self._statuses[status] += 1
        self._messages[SUCCESS if status == SUCCESS else message or ""] += 1
        self._unsettled -= 1
        self._on_settled(status)

    def commit(self) -> ShardStats:
        """Put the shard under its final name, its statistics last.

        Raises:
            OSError, OutputError: it could not be; the shard is to be discarded.
        """
        stats = ShardStats(
            shard_id=self.shard_id,
            count=self._count,
            successes=self._statuses[SUCCESS],
            failed_to_download=self._statuses[FAILED_TO_DOWNLOAD],
            failed_to_resize=self._statuses[FAILED_TO_RESIZE],
            start_time=self._start_time,
            end_time=time.time(),
            status_dict=dict(self._messages.most_common()),
        )
        self._writer.commit(stats)
        return stats

    def discard(self) -> None:
        """Remove what was written so far."""
        self._writer.discard()


def _values(shard: Shard, column: str) -> list[Any]:
    values: list[Any] = shard.rows.column(column).to_pylist()
    return values

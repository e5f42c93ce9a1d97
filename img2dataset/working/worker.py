"""The heart: a worker turns an iterator of shards into an iterator of shard reports.

A process pool feeds it from a pipe, a cluster from its own tasks; it knows none of them. One thread takes
shards (``Intake``), one carries the downloads (``Fetcher``), and the caller's thread, in ``work``, does the
pixels and the writing. All three meet on one queue.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from img2dataset.fetching import Fetcher
from img2dataset.imaging import ImageProcessor
from img2dataset.types import Fetched, Shard, ShardReport, Status
from img2dataset.working.intake import Intake, NoMoreShards
from img2dataset.working.open_shard import OpenShard
from img2dataset.working.outcomes import OutcomeMaker
from img2dataset.working.settings import WorkSettings

logger = logging.getLogger("img2dataset")

Progress = Callable[[Counter[Status]], None]
PROGRESS_INTERVAL_S = 0.5


def work(
    shards: Iterable[Shard], settings: WorkSettings, on_progress: Progress | None = None
) -> Iterator[ShardReport]:
    """Make shards, several open at once.

    Args:
        shards: asked for the next one only when the downloads of the open ones no longer fill the
            transfers; may block.
        settings: what to do with each row.
        on_progress: called about twice a second, also when nothing happens, with the rows settled since
            the last call, by status.

    Yields:
        One report a shard, in the order in which they end.
    """
    worker = _Worker(settings, on_progress or (lambda statuses: None))
    yield from worker.run(shards)


class _Worker:
    def __init__(self, settings: WorkSettings, on_progress: Progress):
        self._settings = settings
        self._on_progress = on_progress
        self._maker = OutcomeMaker(
            ImageProcessor(settings.image), settings.compute_hash, settings.verify_hash, settings.blur
        )
        self._events: queue.SimpleQueue[Fetched | Shard | NoMoreShards] = queue.SimpleQueue()
        self._open: dict[int, OpenShard] = {}
        self._unsettled = 0
        self._settled: Counter[Status] = Counter()
        self._next_progress = 0.0

    def run(self, shards: Iterable[Shard]) -> Iterator[ShardReport]:
        fetcher = Fetcher(self._settings.fetch, self._events.put)
        intake = Intake(shards, self._events.put)
        try:
            yield from self._loop(fetcher, intake)
        finally:
            intake.close()
            fetcher.close()
            for shard in self._open.values():
                shard.discard()

    def _loop(self, fetcher: Fetcher, intake: Intake) -> Iterator[ShardReport]:
        asked, exhausted = False, False
        while True:
            if not asked and not exhausted and self._wants_shard(fetcher):
                intake.ask()
                asked = True
            if exhausted and not self._open:
                self._report_progress()
                return
            event = self._next_event()
            if event is None:
                continue
            if isinstance(event, Fetched):
                report = self._settle(event, fetcher)
            elif isinstance(event, Shard):
                asked = False
                report = self._open_shard(event, fetcher)
            else:
                if event.error is not None:
                    raise event.error
                exhausted = True
                continue
            if report is not None:
                self._report_progress()
                yield report

    def _wants_shard(self, fetcher: Fetcher) -> bool:
        """Whether the rows at hand no longer keep the transfers full for long.

        Open rows are bounded too: slow servers hold their shards open until the deadline, and each open
        shard costs memory.
        """
        concurrency = self._settings.fetch.concurrency
        bound = max(4 * concurrency, 2 * self._settings.write.rows_per_shard)
        return fetcher.waiting < concurrency and self._unsettled < bound

    def _next_event(self) -> Fetched | Shard | NoMoreShards | None:
        """The next thing to do, or None now and then, so that progress is told when nothing happens."""
        now = time.monotonic()
        if now >= self._next_progress:
            self._report_progress()
        try:
            return self._events.get(timeout=max(0.0, self._next_progress - now))
        except queue.Empty:
            return None

    def _report_progress(self) -> None:
        settled, self._settled = self._settled, Counter()
        self._next_progress = time.monotonic() + PROGRESS_INTERVAL_S
        self._on_progress(settled)

    def _open_shard(self, shard: Shard, fetcher: Fetcher) -> ShardReport | None:
        try:
            opened = OpenShard(shard, self._settings, self._count_row)
        except Exception as error:
            return _failure(shard.shard_id, error)
        self._open[shard.shard_id] = opened
        self._unsettled += opened.unsettled
        try:
            rows = list(opened.rows_to_fetch())
        except Exception as error:
            return self._dropped(shard.shard_id, error, fetcher)
        fetcher.submit(rows)
        return self._committed(opened) if opened.complete else None

    def _settle(self, fetched: Fetched, fetcher: Fetcher) -> ShardReport | None:
        shard = self._open.get(fetched.row.shard_id)
        try:
            if shard is None:
                return None  # the shard failed while this download was on its way
            first = fetched.row.index
            tasks = shard.tasks(first)
            shard.settle(first, self._maker.outcomes(fetched.body, fetched.failure, tasks))
        except Exception as error:
            return self._dropped(fetched.row.shard_id, error, fetcher)
        finally:
            fetcher.release(fetched.size)
        return self._committed(shard) if shard.complete else None

    def _count_row(self, status: Status) -> None:
        self._settled[status] += 1
        self._unsettled -= 1

    def _committed(self, shard: OpenShard) -> ShardReport:
        try:
            stats = shard.commit()
        except Exception as error:
            return self._dropped(shard.shard_id, error, None)
        del self._open[shard.shard_id]
        return ShardReport(shard.shard_id, stats=stats)

    def _dropped(self, shard_id: int, error: Exception, fetcher: Fetcher | None) -> ShardReport:
        """Give a shard up: nothing of it is left, and its downloads are called off."""
        shard = self._open.pop(shard_id)
        self._unsettled -= shard.unsettled
        shard.discard()
        if fetcher is not None:
            fetcher.forget(shard_id)
        return _failure(shard_id, error)


def _failure(shard_id: int, error: Exception) -> ShardReport:
    logger.debug("shard %d failed", shard_id, exc_info=error)
    return ShardReport(shard_id, error=f"{type(error).__name__}: {error}")

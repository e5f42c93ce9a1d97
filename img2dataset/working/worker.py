"""A worker turns an iterator of shards into an iterator of shard reports.

A process pool feeds it from a pipe, a cluster from its own tasks; it knows none of them. One thread takes
shards (``Intake``), one carries the downloads (``Fetcher``), and the caller's thread, in ``run``, does the
pixels and the writing. All three meet on one queue.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from img2dataset.fetching import Fetcher
from img2dataset.fetching.hosts.states import LOOK_AHEAD_ROWS
from img2dataset.fetching.machine import raise_limit
from img2dataset.imaging import ImageProcessor
from img2dataset.storage.retries import is_mistake
from img2dataset.types import Fetched, Row, Shard, ShardReport, Status, WaitsFor
from img2dataset.working.decoding_budget import decoding_turn
from img2dataset.working.intake import Intake, NoMoreShards
from img2dataset.working.open_shard import OpenShard
from img2dataset.working.outcome_maker import OutcomeMaker
from img2dataset.working.outcomes import RowTask
from img2dataset.working.settings import WorkSettings
from img2dataset.working.sharing import (
    FEWEST_SHARED_ROWS,
    Helped,
    HelpWith,
    Instruction,
    SharedRows,
    ShareRows,
    SpareRow,
    Stop,
    TakeBack,
    travelling,
)
from img2dataset.working.uploads import Uploaded, Uploads
from img2dataset.working.waiting import LEAST_WAIT_S, Waiting, waits_for

Progress = Callable[[Counter[Status]], None]
PROGRESS_INTERVAL_S = 0.5
# Shards opened only to look ahead of the rows that begin next: a dead worker's open shards are made again.
MOST_SHARDS_AHEAD = 8
# How often a shard is tried to be opened while its store is away.
OPENED_AGAIN_S = 5.0


def work(
    shards: Iterable[Shard], settings: WorkSettings, on_progress: Progress | None = None
) -> Iterator[ShardReport]:
    """Make shards, several open at once.

    Args:
        shards: asked for the next one only when the rows of the open ones no longer fill the transfers, or
            are fewer than are looked ahead on; may block.
        settings: what to do with each row.
        on_progress: called about twice a second, also when nothing happens, with the rows done since
            the last call, by status.

    Yields:
        One report a shard, in the order in which they end.
    """
    yield from Worker(settings, on_progress).run(shards)


class Worker:
    """One worker.

    Args:
        settings: what to do with each row.
        on_progress: see ``work``.
        say: takes what this worker has to say to others, where there are others to share rows with.
    """

    def __init__(
        self,
        settings: WorkSettings,
        on_progress: Progress | None = None,
        say: Callable[[SharedRows | Helped], None] | None = None,
    ):
        self._settings = settings
        self._on_progress = on_progress or (lambda statuses: None)
        self._say = say or (lambda message: None)
        self._maker = OutcomeMaker(
            ImageProcessor(settings.image, in_turn=decoding_turn()),
            settings.image.compute_hash,
            settings.verify_hash,
            settings.blur,
            heeds_consent=settings.fetch.consent == "strict",
            records_consent=settings.fetch.save_consent,
        )
        self._events: queue.SimpleQueue[Fetched | Shard | NoMoreShards | Instruction | Uploaded] = (
            queue.SimpleQueue()
        )
        write = settings.write
        self._uploads = Uploads(self._events.put, write.store_patience, not write.locate().is_local)
        self._open: dict[int, OpenShard] = {}
        self._helping: dict[tuple[int, int], list[RowTask]] = {}
        # A shard that could not be opened since the store was away, and when that is tried again.
        self._opened_later: tuple[float, Shard] | None = None
        self._rows_left = 0
        self._rows_done: Counter[Status] = Counter()
        self._next_progress = 0.0
        self._stop_at: float | None = None
        self._step_began = time.monotonic()
        self._waiting = Waiting()
        raise_limit()
        self._fetcher = Fetcher(settings.fetch, self._events.put)

    @property
    def waiting(self) -> int:
        """Rows that wait for their download or their pixels."""
        return self._fetcher.waiting + self._events.qsize()

    @property
    def step_s(self) -> float:
        """Seconds that the main thread, or an upload, has been at one thing: an image, a try. Any thread."""
        return max(time.monotonic() - self._step_began, self._uploads.step_s)

    def instruct(self, instruction: Instruction) -> None:
        """Have something done beside the shards, to share the last ones. Thread safe."""
        self._events.put(instruction)

    def run(self, shards: Iterable[Shard]) -> Iterator[ShardReport]:
        """Make these shards, once."""
        intake = Intake(shards, self._events.put)
        try:
            yield from self._loop(intake)
        finally:
            intake.close()
            self._fetcher.close()
            self._uploads.close()
            for shard in self._open.values():
                shard.discard()

    def _loop(self, intake: Intake) -> Iterator[ShardReport]:
        asked, exhausted = False, False
        while True:
            if self._stop_at is not None and (self._nothing_under_way() or time.monotonic() > self._stop_at):
                yield from self._put_aside()
                yield from self._last_uploads()
                return
            if not asked and not exhausted and self._stop_at is None and self._wants_shard():
                intake.ask()
                asked = True
            if exhausted and self._has_nothing_left():
                self._report_progress()
                return
            event = self._next_event()
            report: ShardReport | None = None
            if event is None and self._opened_later is not None and self._stop_at is None:
                report = self._open_later()
            elif isinstance(event, Fetched):
                report = self._take_fetched(event)
            elif isinstance(event, Shard):
                asked = False
                if self._stop_at is None:
                    report = self._open_shard(event)
            elif isinstance(event, Uploaded):
                report = self._take_uploaded(event)
            elif isinstance(event, NoMoreShards):
                if event.error is not None:
                    raise event.error
                exhausted = True
            elif event is not None:
                report = self._follow(event)
            if report is not None:
                self._report_progress()
                yield report

    def _has_nothing_left(self) -> bool:
        return not (self._open or self._helping or self._uploads.count or self._opened_later)

    def _open_later(self) -> ShardReport | None:
        """Open the shard that could not be opened while the store was away, if it is time to try again."""
        assert self._opened_later is not None
        due, shard = self._opened_later
        if time.monotonic() < due:
            return None
        self._opened_later = None
        return self._open_shard(shard)

    def _wants_shard(self) -> bool:
        """Whether the rows at hand no longer keep the transfers full for long, or are few to look ahead on.

        Open rows are bounded too: slow servers hold their shards open until the deadline, and each open
        shard costs memory, also for its rows that are done.
        """
        if not self._uploads.takes_more or self._opened_later is not None:
            return False
        concurrency, size = self._settings.fetch.thread_count, self._settings.write.rows_per_shard
        held = sum(shard.count for shard in self._open.values())
        if held >= max(256 * concurrency, 4 * size):
            return False
        waiting, rows_left = self._fetcher.waiting, self._rows_left
        if self._settings.fetch.members > 1:
            # Rows whose host is another member's to ask now may wait for long; those of other hosts go on.
            rows_left -= self._fetcher.not_begun - waiting
        if waiting < concurrency and rows_left < max(4 * concurrency, 2 * size):
            return True
        few = waiting < LOOK_AHEAD_ROWS and rows_left < max(LOOK_AHEAD_ROWS, 2 * size)
        return few and len(self._open) < MOST_SHARDS_AHEAD

    def _next_event(self) -> Fetched | Shard | NoMoreShards | Instruction | Uploaded | None:
        """The next thing to do, or None now and then, so that progress is told when nothing happens."""
        now = time.monotonic()
        if now >= self._next_progress:
            self._fetcher.check()
            self._report_progress()
        try:
            return self._events.get(timeout=max(0.0, self._next_progress - now))
        except queue.Empty:
            return None
        finally:
            self._step_began = time.monotonic()
            if self._step_began - now > LEAST_WAIT_S:
                self._waiting.add(self._step_began - now, self._waits_for())

    def _waits_for(self) -> WaitsFor:
        fetcher = self._fetcher
        return waits_for(
            store=not self._uploads.takes_more,
            open_shards=len(self._open),
            in_flight=fetcher.in_flight,
            looked_up=fetcher.looked_up,
            limit=fetcher.concurrency,
            for_hosts=fetcher.not_begun - fetcher.waiting,
            waiting=fetcher.waiting,
        )

    def _report_progress(self) -> None:
        rows_done, self._rows_done = self._rows_done, Counter()
        self._next_progress = time.monotonic() + PROGRESS_INTERVAL_S
        self._on_progress(rows_done)

    def _open_shard(self, shard: Shard) -> ShardReport | None:
        try:
            opened = OpenShard(shard, self._settings, self._count_row)
        except Exception as error:
            return self._not_opened(shard, error)
        self._open[shard.shard_id] = opened
        self._rows_left += opened.rows_left
        try:
            rows = list(opened.rows_to_fetch())
        except Exception as error:
            untouched = opened.rows_left == opened.count
            report = self._dropped(shard.shard_id, error)
            return self._not_opened(shard, error) if untouched else report
        self._fetcher.submit(rows)
        return self._committed(opened) if opened.complete else None

    def _not_opened(self, shard: Shard, error: Exception) -> ShardReport | None:
        """What has been done of a shard before was asked of the store, which has failed."""
        if self._uploads.waits_for_store(error):
            self._opened_later = (time.monotonic() + OPENED_AGAIN_S, shard)
            return None
        return _failure(shard.shard_id, error)

    def _take_fetched(self, fetched: Fetched) -> ShardReport | None:
        row = fetched.row
        shard = self._open.get(row.shard_id)
        try:
            if shard is not None:
                outcomes = self._maker.outcomes(fetched, shard.tasks(row.index))
                shard.take_outcomes(row.index, outcomes)
            elif (tasks := self._helping.pop((row.shard_id, row.index), None)) is not None:
                made = self._maker.outcomes(fetched, tasks)
                self._say(Helped(row.shard_id, row.index, [travelling(outcome) for outcome in made]))
            # Else its shard failed while this download was on its way.
        except Exception as error:
            if shard is None:
                raise
            return self._dropped(row.shard_id, error)
        finally:
            self._fetcher.release(fetched.size)
        return self._committed(shard) if shard is not None and shard.complete else None

    def _follow(self, instruction: Instruction) -> ShardReport | None:
        if isinstance(instruction, ShareRows):
            self._share()
        elif isinstance(instruction, HelpWith):
            self._helping.update((spare.name, spare.tasks) for spare in instruction.rows)
            self._fetcher.submit(spare.row for spare in instruction.rows)
        elif isinstance(instruction, TakeBack):
            self._fetcher.submit(spare.row for spare in instruction.rows if spare.row.shard_id in self._open)
        elif isinstance(instruction, Stop):
            self._stop(instruction.grace_s)
        elif (shard := self._open.get(instruction.shard_id)) is not None:
            try:
                shard.take_outcomes(instruction.first, instruction.outcomes)
            except Exception as error:
                return self._dropped(shard.shard_id, error)
            return self._committed(shard) if shard.complete else None
        return None

    def _share(self) -> None:
        """Give away half of what waits: the helper then ends at about the same time."""
        rows: list[Row] = []
        if (not_begun := self._fetcher.not_begun) >= 2 * FEWEST_SHARED_ROWS:
            rows = self._fetcher.take_back(not_begun // 2)
        own = [row for row in rows if row.shard_id in self._open]
        self._fetcher.submit(row for row in rows if row.shard_id not in self._open)
        self._say(SharedRows([SpareRow(row, self._open[row.shard_id].tasks(row.index)) for row in own]))

    def _stop(self, grace_s: float) -> None:
        """Begin no more downloads; those under way have a little time."""
        self._stop_at = time.monotonic() + grace_s
        self._uploads.hurry()
        for row in self._fetcher.take_back(self._fetcher.not_begun, even_on_trial=True):
            if row.shard_id in self._open:
                self._open[row.shard_id].give_up(row.index)

    def _nothing_under_way(self) -> bool:
        return not any(shard.waits_for_downloads for shard in self._open.values())

    def _put_aside(self) -> Iterator[ShardReport]:
        """Keep the open shards as far as they have come."""
        for shard_id, shard in sorted(self._open.items()):
            try:
                report = shard.put_aside()
            except Exception as error:
                report = self._dropped(shard_id, error)
            self._open.pop(shard_id, None)
            if report is not None:
                yield report

    def _count_row(self, status: Status) -> None:
        self._rows_done[status] += 1
        self._rows_left -= 1

    def _committed(self, shard: OpenShard) -> ShardReport | None:
        """The report of a shard that is complete; None if it is uploaded first."""
        try:
            prepared, stats = shard.prepare()
            if not prepared.is_uploaded:
                prepared.publish()
        except Exception as error:
            return self._dropped(shard.shard_id, error)
        del self._open[shard.shard_id]
        report = ShardReport(shard.shard_id, stats=stats, measures=shard.measures(self._waiting))
        if not prepared.is_uploaded:
            return report
        self._uploads.begin(prepared, report)
        return None

    def _take_uploaded(self, uploaded: Uploaded) -> ShardReport:
        self._uploads.end(uploaded)
        if uploaded.error is None:
            return uploaded.report
        uploaded.shard.discard()
        return _failure(uploaded.report.shard_id, uploaded.error)

    def _last_uploads(self) -> Iterator[ShardReport]:
        """Wait for the uploads of a run that is stopped; how long is for who has stopped it to say."""
        while self._uploads.count:
            event = self._next_event()
            if isinstance(event, Uploaded):
                yield self._take_uploaded(event)

    def _dropped(self, shard_id: int, error: Exception) -> ShardReport:
        """Give a shard up: nothing of it is left, and its downloads are called off."""
        shard = self._open.pop(shard_id)
        self._rows_left -= shard.rows_left
        shard.discard()
        self._fetcher.forget(shard_id)
        return _failure(shard_id, error)


def _failure(shard_id: int, error: Exception) -> ShardReport:
    told = "".join(traceback.format_exception(error)) if is_mistake(error) else None
    return ShardReport(shard_id, error=f"{type(error).__name__}: {error}", traceback=told)

"""Worker processes on this machine: shards come in, one report for each goes out, whatever happens to them.

A pool that waits for a killed worker waits for ever, so this one supervises its own (design D4): a dead
worker is replaced and its open shards go back to the queue. Any of them may be what killed it, so each is
tried again alone; one that kills its worker ``max_kills`` + 1 times is reported as failed.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from img2dataset.distributing.engine import Capabilities, Progress
from img2dataset.distributing.list_reader import ListEnded, ListReader, ShardRead
from img2dataset.distributing.messages import (
    FromWorker,
    Pulse,
    Reported,
    Settled,
    ShardForWorker,
    ToWorker,
    WantsShard,
    WorkerFailed,
)
from img2dataset.distributing.seats import Seat
from img2dataset.distributing.stopping import StopAsked, StopRequest
from img2dataset.distributing.tail import Tail
from img2dataset.distributing.watching import WATCH_INTERVAL_S, StopWatch, Watch, end_workers, how_it_ended
from img2dataset.errors import RunFailed
from img2dataset.fetching.hosts.shared_paces import VARIABLE, make_shared_file
from img2dataset.processes import Child, Ended, Heard, Program
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Shard, ShardReport, Status
from img2dataset.working import WorkSettings
from img2dataset.working.sharing import Helped, SharedRows

logger = logging.getLogger("img2dataset")

# The module whose ``main`` a worker process runs.
WORKER_MODULE = "img2dataset.distributing.worker_process"
# Workers that end without ever having had a shard: something is wrong with the installation.
MAX_IDLE_DEATHS = 3
# A worker asks for shards ahead of their time, to look at their rows. Beyond these, which keep it busy, it
# gets no more than the others, or those that start last would find the list handed out.
ROWS_AT_ONCE = 1024


Message: TypeAlias = Heard[FromWorker] | Ended | ShardRead | ListEnded | StopAsked


class LocalPool:
    """The engine of one machine: runs the worker of ``working`` in supervised processes.

    Args:
        processes_count: how many worker processes at most; they are started as shards come in.
        max_kills: how many dead workers a shard is forgiven.
        on_progress: see ``create_engine``.
        stop: likewise.
    """

    capabilities = Capabilities(
        machines=False, restarts_lost_shards=True, has_shared_folder=True, stops_gracefully=True
    )

    def __init__(
        self, processes_count: int, max_kills: int, on_progress: Progress, stop: StopRequest
    ) -> None:
        self.processes_count = processes_count
        self.max_kills = max_kills
        self.on_progress = on_progress
        self.stop = stop
        self.deaths: list[str] = []

    def run(self, shards: Iterable[Shard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; see ``Engine``."""
        yield from PoolPass(self, settings).run(shards)


class PoolPass:
    """One pass of a ``LocalPool``: its workers, the shards that they hold, and those that wait."""

    def __init__(self, pool: LocalPool, settings: WorkSettings):
        self._pool = pool
        self._settings = settings
        self._processes_count = pool.processes_count
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._paces = make_shared_file() if pool.processes_count > 1 else None
        self._seats: dict[int, Seat] = {}
        self._started = 0
        self._idle_deaths = 0
        self._ready: deque[Shard] = deque()
        self._suspects: deque[Shard] = deque()
        self._reserved: int | None = None  # the worker kept free for the next shard under suspicion
        self._kills: Counter[int] = Counter()
        self._ended: Counter[Status] = Counter()
        self._tail = Tail()
        self._input_ended = False
        self._input_error: BaseException | None = None
        self._watch = Watch()

    def run(self, shards: Iterable[Shard]) -> Iterator[ShardReport]:
        """Make all shards; once."""
        stop = self._pool.stop
        self._list = ListReader(shards, self._messages.put, 2 * self._processes_count + 2)
        # A message wakes the loop; the queue's put is safe in a signal handler.
        stop.listen(lambda: self._messages.put(StopAsked()))
        try:
            self._start_worker()
            while not self._finished() and not stop.made:
                yield from self._handle_next()
            if stop.made:
                yield from self._stop_workers()
            elif self._input_error is not None:
                raise self._input_error
        finally:
            stop.listen(None)
            end_workers(self._seats.values())
            if self._paces is not None:
                self._paces.close()

    def _finished(self) -> bool:
        busy = any(seat.shards for seat in self._seats.values())
        return self._input_ended and not self._ready and not self._suspects and not busy

    def _handle_next(self) -> Iterator[ShardReport]:
        if self._watch.is_due:
            self._tell_progress()
            self._watch.look(self._seats.values())
            self._list.check()
        try:
            message = self._messages.get(timeout=WATCH_INTERVAL_S)
        except queue.Empty:
            return
        if isinstance(message, ShardRead):
            self._ready.append(message.shard)
        elif isinstance(message, ListEnded):
            self._input_ended, self._input_error = True, message.error
        elif isinstance(message, Ended) and message.child in self._seats:
            yield from self._bury(message)
        elif isinstance(message, Heard) and message.child in self._seats:
            yield from self._listen(self._seats[message.child], message.message)
        self._hand_out()

    def _listen(self, seat: Seat, message: FromWorker) -> Iterator[ShardReport]:
        """Note what a worker says; a report of a shard goes on to the caller."""
        seat.last_heard, seat.has_begun = time.monotonic(), True
        if isinstance(message, Reported):
            yield self._take_report(seat, message.report)
        elif isinstance(message, WantsShard):
            seat.hungry = True
        elif isinstance(message, Settled):
            seat.live += message.statuses
            seat.waiting = message.waiting
            if message.statuses:
                self._tell_progress()
        elif isinstance(message, Pulse):
            seat.step_s = message.step_s
        elif isinstance(message, SharedRows):
            self._tail.hand_over(seat, message, self._seats.values())
        elif isinstance(message, Helped):
            self._tail.pass_on(seat, message, self._seats.values())
        elif isinstance(message, WorkerFailed):
            seat.reason = message.reason

    def _take_report(self, seat: Seat, report: ShardReport) -> ShardReport:
        del seat.shards[report.shard_id]
        self._tail.forget_shard(report.shard_id, self._seats.values())
        seat.alone = False
        if report.stats is not None:
            rows: Counter[Status] = Counter(
                {
                    SUCCESS: report.stats.successes,
                    FAILED_TO_DOWNLOAD: report.stats.failed_to_download,
                    FAILED_TO_RESIZE: report.stats.failed_to_resize,
                }
            )
            self._ended += rows
            seat.live -= rows
        if not seat.shards:
            seat.live.clear()
        self._tell_progress()
        return report

    def _tell_progress(self) -> None:
        self._pool.on_progress(sum((seat.live for seat in self._seats.values()), self._ended))

    def _hand_out(self) -> None:
        """Give shards to the workers that want one; start workers while shards wait and nobody is free."""
        self._hand_out_suspect()
        for seat in sorted(self._seats.values(), key=lambda seat: seat.unsettled):
            if self._ready and seat.hungry and not seat.alone and seat.number != self._reserved:
                if seat.unsettled > max(ROWS_AT_ONCE, self._fewest_unsettled()):
                    break
                self._give(seat, self._ready.popleft())
                self._list.shard_taken()
        waiting = len(self._ready) + len(self._suspects)
        starting = sum(1 for seat in self._seats.values() if seat.starting)
        one_more = waiting > starting
        if self._input_ended and not waiting:
            one_more = self._tail.share(self._seats.values())
        if one_more and len(self._seats) < self._processes_count:
            self._start_worker()

    def _fewest_unsettled(self) -> int:
        return min(seat.unsettled for seat in self._seats.values() if not seat.alone)

    def _hand_out_suspect(self) -> None:
        """Give a shard under suspicion to a worker that holds nothing else; keep one free for it."""
        if not self._suspects:
            self._reserved = None
            return
        for seat in self._seats.values():
            if seat.idle:
                seat.alone = True
                self._give(seat, self._suspects.popleft())
                self._reserved = None
                return
        if self._reserved not in self._seats and not any(seat.alone for seat in self._seats.values()):
            self._reserved = min(
                self._seats, key=lambda number: len(self._seats[number].shards), default=None
            )

    def _give(self, seat: Seat, shard: Shard) -> None:
        seat.hungry, seat.waiting = False, None
        seat.shards[shard.shard_id] = shard
        seat.process.send(ShardForWorker(shard))

    def _start_worker(self) -> None:
        self._started += 1
        program = Program(WORKER_MODULE, "worker")
        if self._paces is not None:
            paces = self._paces.fileno()
            program = Program(WORKER_MODULE, "worker", (paces,), {VARIABLE: str(paces)})
        try:
            process: Child[ToWorker, FromWorker] = Child(self._started, program, self._messages.put)
        except (OSError, RuntimeError) as error:  # no process, or no thread, can be made
            if not self._seats:
                raise RunFailed(
                    f"no worker process can be started: {error}; end other programs, or raise the limits of"
                    " processes and open files (ulimit -u, ulimit -n)"
                ) from error
            self._processes_count = len(self._seats)
            logger.warning(
                "no further worker process can be started: %s; the run goes on with %d",
                error,
                self._processes_count,
            )
            return
        process.send(self._settings)
        self._seats[self._started] = Seat(self._started, process)

    def _bury(self, ended: Ended) -> Iterator[ShardReport]:
        """Take a dead worker's shards back, or give up those that have killed too many."""
        seat = self._seats.pop(ended.child)
        reason = seat.reason or seat.process.failure or how_it_ended(ended.exit_status)
        self._pool.deaths.append(reason)
        logger.warning(
            "worker process %d ended (%s) with %d open shards; they are tried again",
            seat.process.pid,
            reason,
            len(seat.shards),
        )
        if not seat.shards and not seat.helping:
            self._idle_deaths += 1
            if self._idle_deaths > MAX_IDLE_DEATHS:
                raise RunFailed(f"worker processes cannot be kept running: {reason}")
        self._tail.return_rows(seat, self._seats.values())
        for shard_id, shard in seat.shards.items():
            self._tail.forget_shard(shard_id, self._seats.values())
            self._kills[shard_id] += 1
            if self._kills[shard_id] > self._pool.max_kills:
                yield ShardReport(shard_id, error=f"its worker process ended each time: {reason}")
            else:
                self._suspects.append(shard)
        if not self._seats and not self._finished():
            self._start_worker()

    def _stop_workers(self) -> Iterator[ShardReport]:
        """Take the reports of the shards that are completed or put aside in the time that is left."""
        watch = StopWatch(self._seats.values())
        while self._seats and not watch.is_over:
            watch.look(self._seats.values())
            try:
                message = self._messages.get(timeout=WATCH_INTERVAL_S)
            except queue.Empty:
                continue
            if isinstance(message, Ended):
                self._seats.pop(message.child, None)
            elif isinstance(message, Heard) and message.child in self._seats:
                seat = self._seats[message.child]
                seat.last_heard = time.monotonic()
                if isinstance(message.message, Reported):
                    yield self._take_report(seat, message.message.report)
                elif isinstance(message.message, Helped):
                    self._tail.pass_on(seat, message.message, self._seats.values())

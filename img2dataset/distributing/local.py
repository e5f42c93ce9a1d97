"""Worker processes on this machine: shards come in, one report for each goes out, whatever happens to them.

A pool that waits for a killed worker waits for ever, so this one supervises its own (design D4): a dead
worker is replaced and its open shards go back to the queue. Any of them may be what killed it, so each is
tried again alone; one that kills its worker ``max_kills`` + 1 times is reported as failed.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from img2dataset.distributing.messages import (
    FromWorker,
    NoMoreWork,
    Pulse,
    Reported,
    Settled,
    ShardForWorker,
    ToWorker,
    WantsShard,
    WorkerFailed,
)
from img2dataset.distributing.seats import Seat
from img2dataset.distributing.stopping import StopRequest
from img2dataset.distributing.tail import Tail
from img2dataset.errors import Img2datasetError, RunFailed
from img2dataset.fetching.hosts.shared_paces import VARIABLE, make_shared_file
from img2dataset.processes import Child, Ended, Heard, Program, bury
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Shard, ShardReport, Status
from img2dataset.working.sharing import Helped, SharedRows, Stop

logger = logging.getLogger("img2dataset")

# The module whose ``main`` a worker process runs.
WORKER_MODULE = "img2dataset.distributing.worker_process"
# How often the pool looks after its workers and threads, whatever else there is to do.
WATCH_INTERVAL_S = 1.0
# Workers say every second that they live. One that is silent is stopped, frozen or out of reach.
SILENCE_LIMIT_S = 30.0
# Until it has said so for the first time: many that load their libraries from one slow disk take their time.
STARTING_LIMIT_S = 300.0
# The longest that a worker's main thread is at one thing with reason is one upload of a shard.
LONGEST_STEP_S = 900.0
# The pool itself has been stopped, or the machine has slept: what its workers said is not in yet.
OWN_ABSENCE_S = 10.0
# Workers that end without ever having had a shard: something is wrong with the installation.
MAX_IDLE_DEATHS = 3
ENDING_TIME_S = 10.0
# A worker asks for shards ahead of their time, to look at their rows. Beyond these, which keep it busy, it
# gets no more than the others, or those that start last would find the list handed out.
ROWS_AT_ONCE = 1024
# When a stop is asked for: what downloads under way have to end, and what is left then to put shards in place
# or aside. A container is given 10 s in all by Docker, 30 by Kubernetes and Slurm.
STOPPING_DOWNLOADS_S = 4.0
STOPPING_TIME_S = 25.0
STOPPING_SILENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class ShardRead:
    """From the thread that reads the list: the next shard."""

    shard: Shard


@dataclass(frozen=True, slots=True)
class ListEnded:
    """From the thread that reads the list: there are no more shards, or none can be read for this reason."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """From whoever asked for a stop: look at the ``StopRequest``."""


Message: TypeAlias = Heard[FromWorker] | Ended | ShardRead | ListEnded | StopAsked


class LocalPool:
    """Runs the worker of ``working`` in supervised processes.

    Args:
        settings: the ``WorkSettings`` every worker is started with.
        processes_count: how many worker processes at most; they are started as shards come in.
        max_kills: how many dead workers a shard is forgiven.
        on_progress: called with the rows settled so far, by status, when they have changed.
        stop: asked for from outside; open shards then have a few seconds to be completed.
    """

    def __init__(
        self,
        settings: Any,
        processes_count: int,
        max_kills: int = 1,
        on_progress: Callable[[Counter[Status]], None] = lambda statuses: None,
        stop: StopRequest | None = None,
    ):
        self._settings = settings
        self._processes_count = processes_count
        self._max_kills = max_kills
        self._on_progress = on_progress
        self._stop = stop or StopRequest()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._paces = make_shared_file() if processes_count > 1 else None
        self._seats: dict[int, Seat] = {}
        self._started = 0
        self._idle_deaths = 0
        self._ready: deque[Shard] = deque()
        self._suspects: deque[Shard] = deque()
        self._reserved: int | None = None  # the worker kept free for the next shard under suspicion
        self._kills: Counter[int] = Counter()
        self._ended: Counter[Status] = Counter()
        self._ahead = threading.Semaphore(2 * processes_count + 2)
        self._tail = Tail()
        self._input_ended = False
        self._input_error: BaseException | None = None
        self._feeder: threading.Thread | None = None
        self._feeder_told = False
        self._watched_at = time.monotonic()
        self.deaths: list[str] = []

    def run(self, shards: Iterable[Shard]) -> Iterator[ShardReport]:
        """Make all shards.

        Yields:
            One report a shard, as they end.

        Raises:
            Img2datasetError: raised by ``shards``; after the shards that it had handed out are done.
            RunFailed: ``shards`` raised another error, likewise; or no worker can be kept running.
        """
        self._feeder = threading.Thread(target=self._feed, args=(shards,), name="feeder", daemon=True)
        self._feeder.start()
        # A message wakes the loop; the queue's put is safe in a signal handler.
        self._stop.listen(lambda: self._messages.put(StopAsked()))
        try:
            self._start_worker()
            while not self._finished() and not self._stop.made:
                yield from self._handle_next()
            if self._stop.made:
                yield from self._stop_workers()
            elif self._input_error is not None:
                raise self._input_error
        finally:
            self._stop.listen(None)
            self._end_workers()

    def _feed(self, shards: Iterable[Shard]) -> None:
        """Read ahead of the workers, a few shards at most."""
        error: BaseException | None = None
        try:
            for shard in shards:
                self._ahead.acquire()
                self._messages.put(ShardRead(shard))
        except Img2datasetError as raised:
            error = raised
        except BaseException as raised:
            logger.debug("reading the list broke off", exc_info=True)
            error = RunFailed(f"reading the list broke off: {type(raised).__name__}: {raised}")
            error.__cause__ = raised
        self._messages.put(ListEnded(error))
        self._feeder_told = True

    def _finished(self) -> bool:
        busy = any(seat.shards for seat in self._seats.values())
        return self._input_ended and not self._ready and not self._suspects and not busy

    def _handle_next(self) -> Iterator[ShardReport]:
        if time.monotonic() - self._watched_at > WATCH_INTERVAL_S:
            self._watch()
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
        self._on_progress(sum((seat.live for seat in self._seats.values()), self._ended))

    def _hand_out(self) -> None:
        """Give shards to the workers that want one; start workers while shards wait and nobody is free."""
        self._hand_out_suspect()
        for seat in sorted(self._seats.values(), key=lambda seat: seat.unsettled):
            if self._ready and seat.hungry and not seat.alone and seat.number != self._reserved:
                if seat.unsettled > max(ROWS_AT_ONCE, self._fewest_unsettled()):
                    break
                self._give(seat, self._ready.popleft())
                self._ahead.release()
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
        reason = seat.reason or seat.process.failure or _how_it_ended(ended.exit_status)
        self.deaths.append(reason)
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
            if self._kills[shard_id] > self._max_kills:
                yield ShardReport(shard_id, error=f"its worker process ended each time: {reason}")
            else:
                self._suspects.append(shard)
        if not self._seats and not self._finished():
            self._start_worker()

    def _stop_workers(self) -> Iterator[ShardReport]:
        """Take the reports of the shards that are completed or put aside in the time that is left."""
        now = time.monotonic()
        for seat in self._seats.values():
            seat.process.send(Stop(STOPPING_DOWNLOADS_S))
            # The program may have been stopped itself until now, as by Ctrl-Z: what they said is not in yet.
            seat.last_heard = now
        until = now + STOPPING_TIME_S
        while self._seats and now < until:
            for seat in self._seats.values():
                if now - seat.last_heard > STOPPING_SILENCE_S:
                    seat.process.kill()
            try:
                message = self._messages.get(timeout=WATCH_INTERVAL_S)
            except queue.Empty:
                continue
            finally:
                now = time.monotonic()
            if isinstance(message, Ended):
                self._seats.pop(message.child, None)
            elif isinstance(message, Heard) and message.child in self._seats:
                seat = self._seats[message.child]
                seat.last_heard = now
                if isinstance(message.message, Reported):
                    yield self._take_report(seat, message.message.report)
                elif isinstance(message.message, Helped):
                    self._tail.pass_on(seat, message.message, self._seats.values())

    def _watch(self) -> None:
        """End workers that have stopped moving, and see that no thread of the pool is gone unnoticed."""
        self._tell_progress()
        now = time.monotonic()
        absent = now - self._watched_at > OWN_ABSENCE_S
        self._watched_at = now
        for seat in self._seats.values():
            if absent:
                seat.last_heard = now
            limit_s = SILENCE_LIMIT_S if seat.has_begun else STARTING_LIMIT_S
            if now - seat.last_heard > limit_s:
                seat.reason = f"silent for {limit_s:.0f} s: stopped, or frozen"
                seat.process.kill()
            elif seat.step_s > LONGEST_STEP_S:
                seat.reason = f"at one step for {LONGEST_STEP_S:.0f} s"
                seat.process.kill()
            seat.process.check_threads()
        if self._feeder is not None and not self._feeder.is_alive() and not self._feeder_told:
            # It tells its end, unless it has died even of that.
            self._input_ended = True
            self._input_error = RunFailed("the thread that reads the list has died; the same command goes on")

    def _end_workers(self) -> None:
        """Let idle workers end by themselves, and see that all of them are gone."""
        for seat in self._seats.values():
            if seat.shards:
                seat.process.kill()
            else:
                seat.process.send(NoMoreWork())
        bury((seat.process for seat in self._seats.values()), ENDING_TIME_S)
        if self._paces is not None:
            self._paces.close()


def _how_it_ended(exit_status: int) -> str:
    if exit_status == -9:
        return "killed by signal 9, as the system does when memory runs out"
    if exit_status < 0:
        return f"killed by signal {-exit_status}"
    return f"exit status {exit_status}"

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from img2dataset.counted import counted
from img2dataset.distributing.engine import Capabilities, EngineSettings, Progress, Tell, log_warning
from img2dataset.distributing.list_reader import ListEnded, ListReader, ShardRead, ShardUnreadable, shards_of
from img2dataset.distributing.member_notes import DRIVER
from img2dataset.distributing.messages import (
    FromWorker,
    Pulse,
    Reported,
    RowsDone,
    ShardForWorker,
    ToWorker,
    WantsShard,
    WorkerFailed,
)
from img2dataset.distributing.pool_worker import PoolWorker
from img2dataset.distributing.row_sharing import RowSharing
from img2dataset.distributing.watching import WATCH_INTERVAL_S, StopDeadline, Watch, end_workers, how_it_ended
from img2dataset.errors import RunFailed
from img2dataset.fetching.consent import wanted_files
from img2dataset.fetching.contact_notice import ContactNotice
from img2dataset.fetching.hosts.sharing import VARIABLE, make_shared_file
from img2dataset.processes import Child, Ended, Heard, Program
from img2dataset.stopping import StopRequest
from img2dataset.storage.patience import patience_with_list
from img2dataset.types import PlannedShard, Shard, ShardReport, Status
from img2dataset.working import WorkSettings
from img2dataset.working.sharing import Helped, SharedRows

if TYPE_CHECKING:
    from img2dataset.distributing.kept_site_files import KeptSiteFiles

logger = logging.getLogger("img2dataset")

# The module whose ``main`` a worker process runs.
WORKER_MODULE = "img2dataset.distributing.worker_process"
# Workers that end without ever having had a shard: something is wrong with the installation.
MAX_IDLE_DEATHS = 3
# A worker asks for shards ahead of their time, to look at their rows. Beyond these, which keep it busy, it
# gets no more than the others, or those that start last would find the list handed out.
ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A message that wakes the engine: look at the ``StopRequest``."""


Message: TypeAlias = Heard[FromWorker] | Ended | ShardRead | ShardUnreadable | ListEnded | StopAsked


class LocalPool:
    """The engine of one machine: runs the worker of ``working`` in supervised processes.

    Args:
        settings: say how many worker processes there are at most; they are started as shards come in.
        on_progress: see ``create_engine``.
        stop: likewise.
    """

    capabilities = Capabilities(
        machines=False, restarts_lost_shards=True, has_shared_folder=True, stops_gracefully=True
    )

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        self.processes_count = settings.processes_count
        self.max_kills = settings.max_kills
        self.grace_s = settings.options.grace_s
        self.list_options = settings.list
        self.on_progress = on_progress
        self.stop = stop
        self.member = DRIVER
        # How many shards are read that no worker has yet.
        self.shards_ahead = 2 * settings.processes_count + 2
        self.deaths: list[str] = []
        # Called with what the user is to know; where this is a member of a run, it goes to the program.
        self.tell: Tell = log_warning
        # Once, in however many passes.
        self.contact_notice: ContactNotice | None = None
        self._site_files: KeptSiteFiles | None = None

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; see ``Engine``."""
        yield from PoolPass(self, settings).run(shards)

    def site_files(self, settings: WorkSettings) -> KeptSiteFiles | None:
        """What the workers share of the files of sites, in all passes; None where none is asked for."""
        if self._site_files is None and wanted_files(settings.fetch):
            from img2dataset.distributing.kept_site_files import KeptSiteFiles

            self._site_files = KeptSiteFiles(settings.write.locate(), self.member, settings.fetch)
        return self._site_files


class PoolPass:
    """One pass of a ``LocalPool``: its workers, the shards that they hold, and those that wait."""

    def __init__(self, pool: LocalPool, settings: WorkSettings):
        self._pool = pool
        self._settings = settings
        self._processes_count = pool.processes_count
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._paces = make_shared_file() if pool.processes_count > 1 else None
        self._site_files = pool.site_files(settings)
        # Descriptors that workers inherit, by the variables that tell them.
        self._inherited: dict[str, int] = {}
        if self._paces is not None:
            self._inherited[VARIABLE] = self._paces.fileno()
        self._workers: dict[int, PoolWorker] = {}
        self._started = 0
        self._idle_deaths = 0
        self._waiting_shards: deque[Shard] = deque()
        self._to_retry_alone: deque[Shard] = deque()
        self._reserved_worker: int | None = None  # gets no more shards, until it can retry one alone
        self._deaths_by_shard: Counter[int] = Counter()
        self._rows_reported: Counter[Status] = Counter()
        self._sharing = RowSharing()
        self._input_ended = False
        self._input_error: BaseException | None = None
        self._watch = Watch()

    def run(self, shards: Iterable[PlannedShard]) -> Iterator[ShardReport]:
        """Make all shards; once."""
        stop = self._pool.stop
        patience = patience_with_list(self._settings.write.store_patience, lambda: stop.made)
        read = self._looked_at(shards_of(shards, self._pool.list_options, patience))
        self._list = ListReader(read, self._messages.put, self._pool.shards_ahead)
        # A message wakes the loop; the queue's put is safe in a signal handler.
        stop.listen(lambda: self._messages.put(StopAsked()))
        try:
            if self._site_files is not None:
                self._inherited |= self._site_files.begin()
            self._start_worker()
            while not self._finished() and not stop.made:
                yield from self._handle_next()
            if stop.made:
                yield from self._stop_workers()
            elif self._input_error is not None:
                raise self._input_error
        finally:
            stop.listen(None)
            end_workers(self._workers.values())
            if self._paces is not None:
                self._paces.close()
            if self._site_files is not None:
                self._site_files.close()

    def _looked_at(
        self, shards: Iterable[ShardRead | ShardUnreadable]
    ) -> Iterator[ShardRead | ShardUnreadable]:
        if self._pool.contact_notice is None:
            self._pool.contact_notice = ContactNotice(self._settings.fetch, self._pool.tell)
        for shard in shards:
            if isinstance(shard, ShardRead):
                self._pool.contact_notice.look_at_column(shard.shard.rows.column("url"))
            yield shard

    def _finished(self) -> bool:
        busy = any(worker.shards for worker in self._workers.values())
        return self._input_ended and not self._waiting_shards and not self._to_retry_alone and not busy

    def _handle_next(self) -> Iterator[ShardReport]:
        if self._watch.is_due:
            self._tell_progress()
            self._watch.look(self._workers.values())
            self._list.check()
        try:
            message = self._messages.get(timeout=WATCH_INTERVAL_S)
        except queue.Empty:
            return
        if isinstance(message, ShardRead):
            self._waiting_shards.append(message.shard)
        elif isinstance(message, ShardUnreadable):
            self._list.shard_taken()
            yield message.report
        elif isinstance(message, ListEnded):
            self._input_ended, self._input_error = True, message.error
        elif isinstance(message, Ended) and message.child in self._workers:
            yield from self._bury(message)
        elif isinstance(message, Heard) and message.child in self._workers:
            yield from self._listen(self._workers[message.child], message.message)
        self._hand_out()

    def _listen(self, worker: PoolWorker, message: FromWorker) -> Iterator[ShardReport]:
        """Note what a worker says; a report of a shard goes on to the caller."""
        worker.last_heard, worker.has_begun = time.monotonic(), True
        if isinstance(message, Reported):
            yield self._take_report(worker, message.report)
        elif isinstance(message, WantsShard):
            worker.wants_shard = True
        elif isinstance(message, RowsDone):
            worker.rows_done += message.statuses
            worker.rows_waiting = message.rows_waiting
            if message.statuses:
                self._sharing.rows_done(worker)
                self._tell_progress()
        elif isinstance(message, Pulse):
            worker.step_s = message.step_s
        elif isinstance(message, SharedRows):
            self._sharing.give_to_helper(worker, message, self._workers.values())
        elif isinstance(message, Helped):
            self._sharing.pass_to_owner(worker, message, self._workers.values())
        elif isinstance(message, WorkerFailed):
            worker.reason = message.reason

    def _take_report(self, worker: PoolWorker, report: ShardReport) -> ShardReport:
        del worker.shards[report.shard_id]
        self._sharing.forget_shard(report.shard_id, self._workers.values())
        worker.isolated = False
        if report.stats is not None:
            self._rows_reported += report.stats.rows
            worker.rows_done -= report.stats.rows
        if not worker.shards:
            worker.rows_done.clear()
        self._tell_progress()
        return report

    def _tell_progress(self) -> None:
        self._pool.on_progress(
            sum((worker.rows_done for worker in self._workers.values()), self._rows_reported)
        )

    def _hand_out(self) -> None:
        """Give shards to the workers that want one; start workers while shards wait and nobody is free."""
        self._retry_one_alone()
        for worker in sorted(self._workers.values(), key=lambda worker: worker.rows_left):
            is_free = worker.wants_shard and not worker.isolated and worker.number != self._reserved_worker
            if self._waiting_shards and is_free:
                if worker.rows_left > max(ROWS_AT_ONCE, self._fewest_rows_left()):
                    break
                self._send_shard(worker, self._waiting_shards.popleft())
                self._list.shard_taken()
        waiting = len(self._waiting_shards) + len(self._to_retry_alone)
        starting = sum(1 for worker in self._workers.values() if worker.starting)
        one_more = waiting > starting
        if self._input_ended and not waiting:
            one_more = self._sharing.ask_to_share(self._workers.values())
        if one_more and len(self._workers) < self._processes_count:
            self._start_worker()

    def _fewest_rows_left(self) -> int:
        return min(worker.rows_left for worker in self._workers.values() if not worker.isolated)

    def _retry_one_alone(self) -> None:
        """Give a shard that a dead worker had open to one that has nothing else; let one become so."""
        if not self._to_retry_alone:
            self._reserved_worker = None
            return
        for worker in self._workers.values():
            if worker.idle:
                worker.isolated = True
                self._send_shard(worker, self._to_retry_alone.popleft())
                self._reserved_worker = None
                return
        isolated = any(worker.isolated for worker in self._workers.values())
        if self._reserved_worker not in self._workers and not isolated:
            open_shards = {number: len(worker.shards) for number, worker in self._workers.items()}
            self._reserved_worker = min(open_shards, key=lambda number: open_shards[number], default=None)

    def _send_shard(self, worker: PoolWorker, shard: Shard) -> None:
        worker.wants_shard, worker.rows_waiting = False, None
        worker.shards[shard.shard_id] = shard
        worker.process.send(ShardForWorker(shard))

    def _start_worker(self) -> None:
        self._started += 1
        told = {variable: str(descriptor) for variable, descriptor in self._inherited.items()}
        program = Program(WORKER_MODULE, "worker", tuple(self._inherited.values()), told)
        try:
            process: Child[ToWorker, FromWorker] = Child(self._started, program, self._messages.put)
        except (OSError, RuntimeError) as error:  # no process, or no thread, can be made
            if not self._workers:
                raise RunFailed(
                    f"no worker process can be started: {error}; end other programs, or raise the limits of"
                    " processes and open files (ulimit -u, ulimit -n)"
                ) from error
            self._processes_count = len(self._workers)
            logger.warning(
                "no further worker process can be started: %s; the run goes on with %d",
                error,
                self._processes_count,
            )
            return
        process.send(self._settings)
        self._workers[self._started] = PoolWorker(self._started, process)

    def _bury(self, ended: Ended) -> Iterator[ShardReport]:
        """Take a dead worker's shards back, or give up those that have killed too many."""
        worker = self._workers.pop(ended.child)
        reason = worker.reason or worker.process.failure or how_it_ended(ended.exit_status)
        self._pool.deaths.append(reason)
        logger.warning(
            "worker process %d ended (%s) with %s, to be tried again",
            worker.process.pid,
            reason,
            counted(len(worker.shards), "open shard"),
        )
        if not worker.shards and not worker.shared_rows:
            self._idle_deaths += 1
            if self._idle_deaths > MAX_IDLE_DEATHS:
                raise RunFailed(f"worker processes cannot be kept running: {reason}")
        self._sharing.return_rows(worker, self._workers.values())
        for shard_id, shard in worker.shards.items():
            self._sharing.forget_shard(shard_id, self._workers.values())
            self._deaths_by_shard[shard_id] += 1
            if self._deaths_by_shard[shard_id] > self._pool.max_kills:
                yield ShardReport(shard_id, error=f"its worker process ended each time: {reason}")
            else:
                self._to_retry_alone.append(shard)
        if not self._workers and not self._finished():
            self._start_worker()

    def _stop_workers(self) -> Iterator[ShardReport]:
        """Take the reports of the shards that are completed or put aside in the time that is left."""
        deadline = StopDeadline(self._workers.values(), self._pool.grace_s)
        while self._workers and not deadline.is_over:
            deadline.end_silent(self._workers.values())
            try:
                message = self._messages.get(timeout=WATCH_INTERVAL_S)
            except queue.Empty:
                continue
            if isinstance(message, Ended):
                self._workers.pop(message.child, None)
            elif isinstance(message, Heard) and message.child in self._workers:
                worker = self._workers[message.child]
                worker.last_heard = time.monotonic()
                if isinstance(message.message, Reported):
                    yield self._take_report(worker, message.message.report)
                elif isinstance(message.message, Helped):
                    self._sharing.pass_to_owner(worker, message.message, self._workers.values())

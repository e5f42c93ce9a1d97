"""One pass of Spark's engine: shards come in, one report for each goes out.

The list is given out by place, a job of ``subjob_size`` shards at a time. Two jobs are out at once, so that
no core waits for the last task of the one before. What became of a job that failed is read from the output
folder, and the rest of it is done again. Used by ``spark``.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from img2dataset.counted import counted
from img2dataset.distributing.cluster_engine import ClusterEngine
from img2dataset.distributing.list_reader import ListEnded, ListReader
from img2dataset.distributing.member import member_task, report_in_folder, stop_note
from img2dataset.distributing.member_number import remove_numbers
from img2dataset.distributing.noted_progress import NotedProgress, RowsNoted
from img2dataset.distributing.reaching import unable_to_answer
from img2dataset.distributing.spark_jobs import Job, JobEnded, Room, SparkJobs, reason_of
from img2dataset.distributing.spark_question import Answered, ask_machines, room_of
from img2dataset.distributing.spark_session import Session
from img2dataset.distributing.spark_task import TaskSaid, said_of_text
from img2dataset.errors import RunFailed
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.folders import remove
from img2dataset.storage.moving import make_folder
from img2dataset.storage.notes import write_note
from img2dataset.types import PlannedShard, RowsSpec, ShardReport, ShardSpec, Status
from img2dataset.working import WorkSettings

logger = logging.getLogger("img2dataset")

# Rows that travel are in the memory of this program, of Spark's, and of every executor that has a task.
JOB_BYTES = 32_000_000
# A list that is slow to read is not waited for by cores that have nothing to do.
GATHERING_S = 2.0
JOBS_AT_ONCE = 2
# Of a job that failed, which is made again in parts; each may have one task only.
RETRIES_AT_ONCE = 8
SPLIT = 8
LIST_AHEAD = 16
# What the members are given to end in, once they are to stop: their own time and the way there.
STOPPING_S = 40.0
CANCELLING_S = 10.0
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A message that wakes the engine: look at the ``StopRequest``."""


Message: TypeAlias = PlannedShard | ListEnded | JobEnded | Answered | RowsNoted | StopAsked


class SparkPass:
    """One pass of Spark's engine: the shards that are gathered for a job, and the jobs that are out."""

    def __init__(self, engine: ClusterEngine, session: Session, settings: WorkSettings) -> None:
        self._engine = engine
        self._session = session
        self._settings = settings
        self._write = settings.write
        self._task = member_task(engine.settings, settings)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._jobs = SparkJobs(session, self._task, self._messages.put)
        self._waiting: deque[PlannedShard] = deque()
        self._gathered = Job()
        self._again: deque[Job] = deque()
        self._losses: Counter[int] = Counter()
        self._is_asking = False
        # What the machines have room for, once they have been asked.
        self._room: Room | None = None
        self._input_ended = False
        self._input_error: BaseException | None = None
        self._reported: Counter[Status] = Counter()

    def run(self, shards: Iterable[PlannedShard]) -> Iterator[ShardReport]:
        """Make all shards; once."""
        stop = self._engine.stop
        looked_at = self._engine.looked_at(shards, self._settings)
        self._list = ListReader(looked_at, self._messages.put, LIST_AHEAD)
        # A message wakes the loop; the queue's put is safe in a signal handler.
        stop.listen(lambda: self._messages.put(StopAsked()))
        location = self._write.locate()
        notes = NotedProgress(location, self._write.run_id, self._engine.member, self._messages.put)
        try:
            while not self._finished() and not stop.made:
                yield from self._handle_next()
            if stop.made:
                yield from self._stop()
            elif self._input_error is not None:
                raise self._input_error
        finally:
            stop.listen(None)
            notes.close()
            self._cancel()
            with contextlib.suppress(Exception):  # it costs only its room
                remove(location, f"{location.path}/{stop_note(self._write.run_id)}")
            remove_numbers(location, self._write.run_id)

    def _finished(self) -> bool:
        has_shards = self._waiting or self._gathered.texts or self._again or self._jobs.running
        return self._input_ended and not has_shards

    def _handle_next(self) -> Iterator[ShardReport]:
        self._list.check()
        try:
            message = self._messages.get(timeout=LOOK_S)
        except queue.Empty:
            message = None
        if isinstance(message, (ShardSpec, RowsSpec)):
            self._waiting.append(message)
        elif isinstance(message, ListEnded):
            self._input_ended, self._input_error = True, message.error
        elif isinstance(message, JobEnded):
            yield from self._take(message)
        elif isinstance(message, Answered):
            self._take_answers(message)
        elif isinstance(message, RowsNoted):
            self._tell_progress(message.rows)
            for text in message.notices:
                self._engine.tell(text)
        self._gather()
        self._submit()

    def _gather(self) -> None:
        job = self._gathered
        while self._waiting and not self._is_full(job):
            shard = self._waiting.popleft()
            self._list.shard_taken()
            text = shard.to_json()
            if not job.texts:
                job.began = time.monotonic()
                self._ask(shard)
            job.texts[shard.shard_id] = text
            job.bytes += len(text)

    def _is_full(self, job: Job) -> bool:
        return len(job.texts) >= self._engine.settings.options.subjob_size or job.bytes >= JOB_BYTES

    def _submit(self) -> None:
        """Hand in what is to be done, as long as not too much is out."""
        if self._room is None:
            return
        while self._again and len(self._jobs.running) < RETRIES_AT_ONCE:
            self._jobs.start(self._again.popleft(), self._room)
        job = self._gathered
        has_waited = not self._jobs.running and time.monotonic() - job.began > GATHERING_S
        is_ready = self._is_full(job) or (self._input_ended and not self._waiting) or has_waited
        if job.texts and is_ready and len(self._jobs.running) < JOBS_AT_ONCE:
            self._gathered = Job()
            self._jobs.start(job, self._room)

    def _take(self, ended: JobEnded) -> Iterator[ShardReport]:
        """The reports of a job; what it has not told of is looked for in the folder, and done again."""
        self._jobs.running.remove(ended.job)
        left = dict(ended.job.texts)
        for said in sorted(map(said_of_text, ended.said), key=when_ended):
            if said.death is not None:
                self._engine.deaths.append(said.death)
            if said.notice is not None:
                self._engine.tell(said.notice)
            if said.report is not None and left.pop(said.report.shard_id, None) is not None:
                yield self._counted(said.report)
        if left and not self._engine.stop.made:
            yield from self._do_again(left, ended.error)

    def _do_again(self, left: dict[int, str], error: BaseException | None) -> Iterator[ShardReport]:
        reason = reason_of(error) if error is not None else "Spark has lost what it told"
        if error is not None:
            self._refuse_if_hopeless(error, reason)
        for shard_id in list(left):
            report = report_in_folder(self._write, shard_id)
            if report is not None:
                del left[shard_id]
                yield self._counted(report)
        # Told even where the folder has all: something was lost.
        if error is not None or left:
            self._engine.deaths.append(reason)
        if not left:
            return
        logger.warning(
            "a Spark job failed (%s) with %s, to be tried again", reason, counted(len(left), "open shard")
        )
        if len(left) > 1:
            # Any of them may be what made it fail: it is found by halves, and the others are not blamed.
            shards = list(left.items())
            size = -(-len(shards) // SPLIT)
            for start in range(0, len(shards), size):
                self._again.append(Job(dict(shards[start : start + size])))
            return
        ((shard_id, text),) = left.items()
        self._losses[shard_id] += 1
        if self._losses[shard_id] > self._engine.settings.max_kills:
            yield ShardReport(shard_id, error=f"its Spark job failed each time: {reason}")
        else:
            self._again.append(Job({shard_id: text}))

    def _refuse_if_hopeless(self, error: BaseException, reason: str) -> None:
        """End the run where no job can be done any more."""
        if (unable := unable_to_answer(error)) is not None:
            raise unable from error
        try:
            self._session.spark.range(1).collect()
        except Exception as gone:
            raise RunFailed(
                f"the Spark session cannot run jobs any more: {reason}; the same command goes on"
            ) from gone

    def _counted(self, report: ShardReport) -> ShardReport:
        if report.stats is not None:
            self._reported += report.stats.rows
            self._tell_progress(Counter())
        return report

    def _tell_progress(self, noted: Counter[Status]) -> None:
        """Reports are exact and late; notes come early, and count what was done twice twice."""
        self._engine.on_progress(max(noted, self._reported, key=Counter.total))

    def _ask(self, first: PlannedShard) -> None:
        """Have the machines asked whether they can do the run, once a session."""
        if not self._is_asking and self._room is None:
            self._is_asking = True
            threading.Thread(target=self._run_question, args=(first,), name="question", daemon=True).start()

    def _run_question(self, first: PlannedShard) -> None:
        self._messages.put(ask_machines(self._session, self._jobs.tag, self._task, first))

    def _take_answers(self, answered: Answered) -> None:
        self._is_asking = False
        self._room = room_of(answered)

    def _stop(self) -> Iterator[ShardReport]:
        """Let the members end what they have open, or put it aside; then end all jobs."""
        with contextlib.suppress(Exception):  # then they are ended after the time below
            location = self._write.locate()
            make_folder(location, f"{location.path}/{RUNS_FOLDER}")
            write_note(location, stop_note(self._write.run_id), "stop")
        until = time.monotonic() + STOPPING_S
        while self._jobs.running and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                message = self._messages.get(timeout=LOOK_S)
                if isinstance(message, JobEnded):
                    yield from self._take(message)
        for job in self._jobs.running:
            for shard_id in job.texts:
                report = report_in_folder(self._write, shard_id)
                if report is not None:
                    yield self._counted(report)

    def _cancel(self) -> None:
        """End what is still running, and wait for its threads a little."""
        if not (self._jobs.running or self._is_asking):
            return
        with contextlib.suppress(Exception):  # the session may be gone
            self._session.cancel_jobs(self._jobs.tag)
        until = time.monotonic() + CANCELLING_S
        while (self._jobs.running or self._is_asking) and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                message = self._messages.get(timeout=LOOK_S)
                if isinstance(message, JobEnded):
                    self._jobs.running.remove(message.job)
                self._is_asking = self._is_asking and not isinstance(message, Answered)


def when_ended(said: TaskSaid) -> float:
    """The order in which shards have ended; the tasks of a job tell it one after another."""
    stats = said.report and (said.report.stats or said.report.unfinished)
    return stats.end_time if stats else 0.0

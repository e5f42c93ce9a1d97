"""What runs in the Python workers of Spark: texts of shards come in, texts of what became of them go out.

Spark loads these functions by their names, with this package as it is installed there. A Python worker does
one task at a time and is used for one after another, so that its ``Member`` lives as long as it does.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from img2dataset.distributing.member import Member, MemberTask, report_in_folder
from img2dataset.distributing.member_number import numbered
from img2dataset.distributing.reaching import answer, other_version
from img2dataset.types import PlannedShard, ShardReport, report_of_json, spec_of_json
from img2dataset.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

# Of the tables that go to and fro. One row of ``SHARDS`` is the shards of one task.
SHARDS, SAID, CPUS = "shards", "said", "cpus"
NOTE_INTERVAL_S = 5.0

_members: dict[str, Member] = {}


@dataclass(frozen=True, slots=True)
class TaskSaid:
    """One line of a task: a shard has ended, a worker process was lost, or the user is to know something."""

    report: ShardReport | None = None
    death: str | None = None
    notice: str | None = None

    def to_text(self) -> str:
        """This as a line; ``said_of_text`` reads it."""
        report = self.report.to_json() if self.report is not None else None
        return json.dumps({"report": report, "death": self.death, "notice": self.notice})


def said_of_text(text: str) -> TaskSaid:
    """What a task has said in a line."""
    fields = json.loads(text)
    report = report_of_json(fields["report"]) if fields["report"] is not None else None
    return TaskSaid(report, fields["death"], fields["notice"])


def make_shards(
    version: str, task: bytes, members: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Make the shards of one task of Spark; for ``DataFrame.mapInArrow``.

    Args:
        version: of this package, where the run was started.
        task: the pickled ``MemberTask``.
        members: how many tasks are at work at once.
        batches: with a column ``SHARDS``.
    """
    from pyspark import TaskContext

    if version != __version__:  # of a machine that came when the others had been asked
        raise RuntimeError(other_version(__version__))
    context = TaskContext.get()
    is_first_try = context is None or context.attemptNumber() == 0
    texts = [text for batch in batches for text in batch.column(SHARDS).to_pylist()]
    told: MemberTask = pickle.loads(task)
    cpus, partition = (context.cpus(), context.partitionId()) if context is not None else (1, 0)
    specs = [spec_of_json(line) for text in texts for line in text.split("\n")]
    missing: list[PlannedShard] = []
    for spec in specs:
        # What an earlier try of this task has finished need not be made again.
        done = None if is_first_try else report_in_folder(told.work.write, spec.shard_id)
        if done is None:
            missing.append(spec)
        else:
            yield _as_batch(TaskSaid(done))
    for said in _make(told, cpus, missing, members, partition):
        yield _as_batch(said)


def _as_batch(said: TaskSaid) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch([pa.array([said.to_text()], pa.string())], names=[SAID])


def answer_question(question: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Have this machine asked whether it can do the run (``reaching``); for ``DataFrame.mapInArrow``."""
    import pyarrow as pa
    from pyspark import TaskContext

    for _ in batches:
        pass
    context = TaskContext.get()
    cpus = context.cpus() if context is not None else 1
    answered = [pa.array([answer(question)], pa.string()), pa.array([cpus], pa.int32())]
    yield pa.record_batch(answered, names=[SAID, CPUS])


def _make(
    task: MemberTask, processes: int, shards: list[PlannedShard], members: int, partition: int
) -> Iterator[TaskSaid]:
    if not shards:
        return
    member = _member_of(task, processes)
    deaths = len(member.deaths)
    with numbered(task.work.write, name_of_process(), members, partition, member.notice) as number:
        for report in member.make(shards, members, number):
            yield TaskSaid(report)
    for death in member.deaths[deaths:]:
        yield TaskSaid(death=death)
    # The program reads them in the notes while the task is at work, where it can.
    for notice in member.notices:
        yield TaskSaid(notice=notice)


def name_of_process() -> str:
    """The name of the member that this process is."""
    return f"spark-{socket.gethostname()}-{os.getpid()}"


def _member_of(task: MemberTask, processes: int) -> Member:
    """The member that this process is in a run."""
    run_id = task.work.write.run_id
    if run_id not in _members:
        _members.clear()  # of runs that have ended, in a session that goes on
        _members[run_id] = Member(task, name_of_process(), processes, NOTE_INTERVAL_S)
    return _members[run_id]

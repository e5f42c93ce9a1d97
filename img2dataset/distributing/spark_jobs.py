"""The jobs of Spark: shards come in, what the tasks have said of them goes out as a message.

A job is run over a DataFrame: no RDDs, which Spark Connect has not, no ``toLocalIterator``, which runs tasks
one after another, and no barriers, which wait for all cores. Used by ``spark_pass``.
"""

from __future__ import annotations

import itertools
import pickle
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from img2dataset.distributing.member import MemberTask
from img2dataset.distributing.spark_session import Session
from img2dataset.distributing.spark_task import SAID, SHARDS, make_shards
from img2dataset.version import __version__

# A task makes several shards, so that the next one's downloads begin while the last answers of the one before
# are out, and begins no process for a minute of work. Of so many rows it takes some ten minutes.
ROWS_A_PROCESS = 80_000
# How Python ends a traceback, on the way through Spark's: ``ValueError: ...``.
PYTHON_ERROR = re.compile(r"([A-Za-z_][\w.]*\.)?[A-Z]\w*(Error|Exception|Exit|Interrupt): ")


@dataclass(slots=True)
class Job:
    """Shards that are made, or are to be made, by one job of Spark.

    ``texts``: of the shards, by number; ``bytes``: of all texts. ``began``: when the first one was gathered.
    """

    texts: dict[int, str] = field(default_factory=dict)
    bytes: int = 0
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job is over: what its tasks have said, and the error it ended with, if any."""

    job: Job
    said: list[str]
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Room:
    """How many tasks a session runs at once, and the worker processes of each."""

    slots: int = 1
    processes: int = 1


class SparkJobs:
    """The jobs that are out, each in a thread of its own.

    Args:
        session: runs them.
        task: what the members are told.
        send: called with a ``JobEnded`` when one is over.
    """

    def __init__(self, session: Session, task: MemberTask, send: Callable[[JobEnded], None]) -> None:
        self.running: list[Job] = []
        self.tag = f"img2dataset-{secrets.token_hex(8)}"
        self._session = session
        self._task = task
        self._send = send

    def start(self, job: Job, room: Room) -> None:
        """Have a job run; its end is sent."""
        self.running.append(job)
        threading.Thread(target=self._run, args=(job, room), name="spark job", daemon=True).start()

    def _run(self, job: Job, room: Room) -> None:
        said: list[str] = []
        error: BaseException | None = None
        try:
            function = partial(make_shards, __version__, pickle.dumps(self._task), room.slots)
            shards = max(1, round(ROWS_A_PROCESS / self._task.work.write.rows_per_shard))
            groups = grouped(list(job.texts.values()), room.slots, room.processes * shards)
            said = [row[SAID] for row in self._collected(groups, function)]
        except BaseException as raised:  # of Spark, of its Java, of its connection
            error = raised
        self._send(JobEnded(job, said, error))

    def _collected(self, groups: list[list[str]], function: Callable[..., Iterator[Any]]) -> list[Any]:
        from pyspark.sql.functions import broadcast

        spark = self._session.spark
        self._session.tag_jobs(self.tag)
        # A range has just as many partitions as it is told, each with one row, without a shuffle; whatever
        # else makes partitions of rows puts two groups into some of them, and none into others.
        rows = [(number, "\n".join(group)) for number, group in enumerate(groups)]
        frame = broadcast(spark.createDataFrame(rows, f"id long, {SHARDS} string"))
        tasks = spark.range(0, len(rows), 1, len(rows)).join(frame, "id").select(SHARDS)
        collected: list[Any] = tasks.mapInArrow(function, f"{SAID} string").collect()
        return collected


def grouped(texts: list[str], slots: int, most: int) -> list[list[str]]:
    """The shards of a job, in as many groups of nearly equal size as it shall have tasks.

    Args:
        texts: of the shards.
        slots: how many tasks run at once.
        most: shards of a task.
    """
    rounds = -(-len(texts) // (slots * most))
    tasks = min(len(texts), slots * rounds)
    bounds = [len(texts) * number // tasks for number in range(tasks + 1)]
    return [texts[start:end] for start, end in itertools.pairwise(bounds)]


def reason_of(error: BaseException) -> str:
    """The line of an error of Spark, which has pages, that says what went wrong, in a task or in Spark."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if PYTHON_ERROR.match(line)]
    return (python[-1] if python else lines[0] if lines else type(error).__name__)[:300]

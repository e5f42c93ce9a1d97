"""Have the machines of a Spark cluster asked whether they can do the run (``reaching``), and for their room.

Used by ``spark_pass``, in a thread of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from img2dataset.distributing.member import MemberTask
from img2dataset.distributing.reaching import asking, read_answer, refuse, unable_to_answer
from img2dataset.distributing.spark_jobs import Room, reason_of
from img2dataset.distributing.spark_session import Session
from img2dataset.distributing.spark_task import CPUS, SAID, answer_question
from img2dataset.errors import Img2datasetError, RunFailed
from img2dataset.types import PlannedShard

# A cluster of more cores is not asked in each of them whether it can do the run.
MOST_QUESTIONS = 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """The machines have answered: what each said, and the cores of a task there; or the error instead."""

    rows: list[tuple[str, int]]
    error: BaseException | None


def ask_machines(session: Session, tag: str, task: MemberTask, first: PlannedShard) -> Answered:
    """Ask the machines; takes as long as a job of Spark.

    Args:
        session: of the cluster.
        tag: of the run's jobs.
        task: what the members will be told.
        first: a shard of the list.
    """
    try:
        session.tag_jobs(tag)
        with asking(task, first) as question:
            # Spark gives a range as many partitions as there are cores.
            asked = session.spark.range(0, MOST_QUESTIONS)
            schema = f"{SAID} string, {CPUS} int"
            rows = asked.mapInArrow(partial(answer_question, question), schema).collect()
        return Answered([(row[SAID], row[CPUS]) for row in rows], None)
    except BaseException as error:
        return Answered([], error)


def room_of(answered: Answered) -> Room:
    """What machines that can do the run have room for.

    Raises:
        RunFailed: one cannot do it, or the cluster can run no job.
    """
    error = answered.error
    if error is not None:
        if isinstance(error, Img2datasetError):
            raise error
        raise unable_to_answer(error) or RunFailed(
            f"the Spark cluster cannot run a job: {reason_of(error)}"
        ) from error
    refuse(read_answer(text) for text, _ in answered.rows)
    processes = max((cpus for _, cpus in answered.rows), default=1)
    return Room(max(1, len(answered.rows) // processes), processes)

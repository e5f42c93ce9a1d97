"""Which of the members of a run a task is, where nobody gives out numbers: those of Spark.

In: how many tasks run at once. Out: a number that no other has meanwhile, and of how many, among whom what a
host may be asked for is divided (``fetching.hosts.turns``). A number is a lease in the output folder. Used by
``spark_task``; the program removes them at the end.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from img2dataset.distributing.member import MemberTask
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.leases import Leases
from img2dataset.storage.runs import new_run_id


@dataclass(frozen=True, slots=True)
class MemberNumber:
    """``member``, from 0, of ``members``."""

    member: int
    members: int


def numbers_folder(run_id: str) -> str:
    """Where the numbers of a run are taken, in its output folder."""
    return f"{RUNS_FOLDER}/numbers-{run_id}"


@contextlib.contextmanager
def own_number(task: MemberTask, name: str, at_once: int) -> Iterator[MemberNumber]:
    """A number for as long as the block lasts.

    Where more tasks run at once than there were cores when the run began, the others get further numbers,
    and reckon with that many members; a host may then see more than its bound, up to twice.

    Args:
        task: of the run.
        name: of this member.
        at_once: how many tasks the cluster had room for when the run began.

    Raises:
        Exception: the output folder fails; every file system has its own errors.
    """
    if at_once == 1:
        yield MemberNumber(0, 1)
        return
    write = task.work.write
    leases = Leases(
        write.locate(),
        name,
        new_run_id(),
        task.engine.options.lease_s,
        folder=numbers_folder(write.run_id),
    )
    leases.start()
    try:
        number = _take(leases, zlib.crc32(name.encode()) % at_once, at_once)
        yield MemberNumber(number, max(at_once, number + 1))
    finally:
        leases.close()


def _take(leases: Leases, first: int, at_once: int) -> int:
    for offset in range(at_once):  # each begins to look elsewhere
        if leases.take(str((first + offset) % at_once)):
            return (first + offset) % at_once
    number = at_once
    while not leases.take(str(number)):
        number += 1
    return number

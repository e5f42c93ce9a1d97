"""What the program and its workers tell each other; ``working.sharing`` has the rest of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from img2dataset.types import Shard, ShardReport, Status
from img2dataset.working.sharing import Helped, Instruction, SharedRows

if TYPE_CHECKING:
    from img2dataset.working import WorkSettings


@dataclass(frozen=True, slots=True)
class ShardForWorker:
    """To a worker: make this shard."""

    shard: Shard


@dataclass(frozen=True, slots=True)
class NoMoreWork:
    """To a worker: finish what is open, then end."""


@dataclass(frozen=True, slots=True)
class WantsShard:
    """From a worker: it could take one more shard."""


@dataclass(frozen=True, slots=True)
class RowsDone:
    """From a worker, about twice a second: the rows that have succeeded or failed since the last one.

    ``rows_waiting`` is how many rows wait for their download or their pixels: without any, the rows that it
    still has only wait for their servers.
    """

    statuses: Counter[Status]
    rows_waiting: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """From a thread of a worker that does nothing else, every second: it lives.

    ``step_s``: how many seconds its main thread has been at one thing.
    """

    step_s: float


@dataclass(frozen=True, slots=True)
class Reported:
    """From a worker: a shard has ended."""

    report: ShardReport


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """From a worker: it cannot go on, and why."""

    reason: str


# The first message to a worker is its settings.
ToWorker: TypeAlias = "WorkSettings | ShardForWorker | NoMoreWork | Instruction"
FromWorker: TypeAlias = WantsShard | RowsDone | Pulse | Reported | WorkerFailed | SharedRows | Helped

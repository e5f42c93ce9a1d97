"""What workers are told beside their shards: to share the last ones of a run, and to stop.

A worker with nothing left to do helps one that still has rows waiting: it fetches some of them and makes
their pixels. Only the owner of a shard writes it. Without this, the run waits for its slowest shard while the
other cores stand idle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from img2dataset.types import Row
from img2dataset.working.outcomes import Outcome, RowTask

# A hand-over costs a round trip through the program; fewer rows are sooner done where they are.
FEWEST_SHARED_ROWS = 16


@dataclass(frozen=True, slots=True)
class SpareRow:
    """A URL to fetch for another worker's shard, and all its rows there."""

    row: Row
    tasks: list[RowTask]

    @property
    def name(self) -> tuple[int, int]:
        """Which row of which shard it is."""
        return self.row.shard_id, self.row.index


@dataclass(frozen=True, slots=True)
class ShareRows:
    """To an owner: give away half of the rows whose download has not begun."""


@dataclass(frozen=True, slots=True)
class SharedRows:
    """From an owner: these; perhaps none."""

    rows: list[SpareRow]


@dataclass(frozen=True, slots=True)
class HelpWith:
    """To a helper: make the outcomes of these."""

    rows: list[SpareRow]


@dataclass(frozen=True, slots=True)
class Helped:
    """From a helper, on to the owner: the outcomes of one shared row."""

    shard_id: int
    first: int
    outcomes: list[Outcome]

    @property
    def name(self) -> tuple[int, int]:
        """Which row of which shard it is."""
        return self.shard_id, self.first


@dataclass(frozen=True, slots=True)
class TakeBack:
    """To an owner: the helper is gone, these are its own again."""

    rows: list[SpareRow]


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: begin no more downloads, commit what completes within ``grace_s`` seconds, then end."""

    grace_s: float


Instruction = ShareRows | HelpWith | Helped | TakeBack | Stop


def travelling(outcome: Outcome) -> Outcome:
    """The outcome with its image as bytes: a view of memory cannot be sent."""
    if outcome.image is None or isinstance(outcome.image.image, bytes):
        return outcome
    return replace(outcome, image=replace(outcome.image, image=bytes(outcome.image.image)))

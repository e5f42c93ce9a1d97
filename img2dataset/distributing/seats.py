"""What the pool knows of one of its workers."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from img2dataset.distributing.messages import FromWorker, ToWorker
from img2dataset.processes import Child
from img2dataset.types import Shard, Status
from img2dataset.working.sharing import SpareRow


@dataclass(slots=True)
class Seat:
    """One worker of the pool and what it holds.

    ``alone``: it holds a shard under suspicion and gets no other meanwhile. ``live``: rows settled in its
    shards that have not ended. ``asked``: it is to give rows away and has not answered. ``helping``: rows it
    makes for other workers, by shard and row. ``waiting``: its rows that wait for their download or their
    pixels, as far as it has said since it was last given some. ``step_s``: how many seconds its main thread
    has been at one thing. ``has_begun``: it has said anything at all.
    """

    number: int
    process: Child[ToWorker, FromWorker]
    hungry: bool = False
    alone: bool = False
    asked: bool = False
    reason: str | None = None
    shards: dict[int, Shard] = field(default_factory=dict)
    helping: dict[tuple[int, int], SpareRow] = field(default_factory=dict)
    waiting: int | None = None
    live: Counter[Status] = field(default_factory=Counter)
    last_heard: float = field(default_factory=time.monotonic)
    step_s: float = 0.0
    has_begun: bool = False

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do and waits for work."""
        return self.hungry and not self.shards and not self.helping

    @property
    def can_help(self) -> bool:
        """Whether it has nothing to do: the rows that it may still have only wait for their servers."""
        return self.idle or (self.hungry and self.waiting == 0 and not self.alone)

    @property
    def starting(self) -> bool:
        """Whether it has not asked for work yet."""
        return not self.hungry and not self.shards

    @property
    def unsettled(self) -> int:
        """Rows of its shards that are still to come, as far as it has said."""
        rows: int = sum(shard.rows.num_rows for shard in self.shards.values())
        return rows - self.live.total()

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
class PoolWorker:
    """One worker of the pool and what it holds.

    Args:
        number: of its process.
        wants_shard: it has asked for one more shard and got none yet.
        isolated: it holds a shard that may have killed a worker, and gets no other meanwhile.
        asked_to_share: it is to give rows away and has not answered.
        reason: why it is about to end, where that is known.
        shards: those that it has open, by number.
        shared_rows: rows that it makes for other workers, by shard and row.
        rows_waiting: its rows that wait for their download or their pixels, as far as it has said since it
            was last given some.
        rows_done: rows of its open shards that have succeeded or failed.
        last_heard: when it said anything; monotonic seconds.
        step_s: how many seconds its main thread has been at one thing.
        has_begun: it has said anything at all.
    """

    number: int
    process: Child[ToWorker, FromWorker]
    wants_shard: bool = False
    isolated: bool = False
    asked_to_share: bool = False
    reason: str | None = None
    shards: dict[int, Shard] = field(default_factory=dict)
    shared_rows: dict[tuple[int, int], SpareRow] = field(default_factory=dict)
    rows_waiting: int | None = None
    rows_done: Counter[Status] = field(default_factory=Counter)
    last_heard: float = field(default_factory=time.monotonic)
    step_s: float = 0.0
    has_begun: bool = False

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do and waits for work."""
        return self.wants_shard and not self.shards and not self.shared_rows

    @property
    def can_help(self) -> bool:
        """Whether it has nothing to do: the rows that it may still have only wait for their servers."""
        return self.idle or (self.wants_shard and self.rows_waiting == 0 and not self.isolated)

    @property
    def starting(self) -> bool:
        """Whether it has not asked for work yet."""
        return not self.wants_shard and not self.shards

    @property
    def rows_left(self) -> int:
        """Rows of its open shards that have neither succeeded nor failed, as far as it has said."""
        rows: int = sum(shard.rows.num_rows for shard in self.shards.values())
        return rows - self.rows_done.total()

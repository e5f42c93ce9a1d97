"""What an engine is: who has the worker of ``working`` make shards, on one machine or on many.

Shards come in, one report for each goes out; the api knows this file and no engine. ``engines`` chooses one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from img2dataset.types import Shard, ShardReport, Status
from img2dataset.working import WorkSettings

Progress = Callable[[Counter[Status]], None]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    ``machines``: its workers may be on several. ``restarts_lost_shards``: a shard whose worker was lost is
    made again within the run. ``has_shared_folder``: every worker sees the program's own file system.
    ``stops_gracefully``: when a stop is asked for, open shards are completed, or kept for the next run.
    """

    machines: bool
    restarts_lost_shards: bool
    has_shared_folder: bool
    stops_gracefully: bool


class Engine(Protocol):
    """Has shards made; one object a run, which may have several passes."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    @property
    def deaths(self) -> list[str]:
        """Why workers ended that were to go on, in all passes so far."""

    def run(self, shards: Iterable[Shard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; one pass.

        Args:
            shards: asked for the next one only when there is a worker for it soon; may block.
            settings: what every worker is started with.

        Yields:
            One report a shard, as they end. After a stop was asked for, of those only that were open.

        Raises:
            Exception: what ``shards`` raised, after the shards that it had handed out are done.
            RunFailed: no worker can be kept running.
        """

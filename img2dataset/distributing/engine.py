"""What an engine is: who has the worker of ``working`` make shards, on one machine or on many.

Shards come in, one report for each goes out; the api knows this file and no engine. ``engines`` chooses one.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from img2dataset.options import InputOptions, Options, RunOptions
from img2dataset.settings import processes_count
from img2dataset.types import PlannedShard, ShardReport, Status
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


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is told of a run, once; plain values, which travel to other machines.

    ``processes_count``: worker processes on each machine. ``list``: what a ``ShardReader`` is made with; one
    in memory is not in it, since its shards are given out as rows. ``options``: those of the run.
    """

    processes_count: int
    list: InputOptions
    options: RunOptions

    @property
    def max_kills(self) -> int:
        """How many lost workers a shard is forgiven."""
        return self.options.max_shard_retry


def engine_settings(options: Options) -> EngineSettings:
    """What the engine of a run is told."""
    of_list = options.part(InputOptions)
    if not isinstance(of_list.url_list, (str, os.PathLike)):
        of_list = dataclasses.replace(of_list, url_list="in memory")
    return EngineSettings(processes_count(options), of_list, options.part(RunOptions))


class Engine(Protocol):
    """Has shards made; one object a run, which may have several passes."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""

    @property
    def member(self) -> str:
        """What this program is among the members of the run (``member_notes``): ``driver``, or its rank."""

    @property
    def deaths(self) -> list[str]:
        """Why workers ended that were to go on, in all passes so far."""

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; one pass.

        Args:
            shards: asked for the next one only when there is a worker for it soon; may block. Where
                ``capabilities.machines``, most say where their rows lie; else all are rows.
            settings: what every worker is started with.

        Yields:
            One report a shard, as they end. After a stop was asked for, of those only that were open.

        Raises:
            Exception: what ``shards`` raised, after the shards that it had handed out are done.
            RunFailed: no worker can be kept running.
        """

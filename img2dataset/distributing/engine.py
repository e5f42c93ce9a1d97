"""What an engine is: who has the worker of ``working`` make shards, on one machine or on many.

Shards come in, one report for each goes out; the api knows this file and no engine. ``engines`` chooses one.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from img2dataset.options import InputOptions, Options, RunOptions
from img2dataset.settings import processes_count
from img2dataset.types import PlannedShard, ShardReport, Status
from img2dataset.working import WorkSettings

Progress = Callable[[Counter[Status]], None]
Tell = Callable[[str], None]

logger = logging.getLogger("img2dataset")


def log_warning(text: str) -> None:
    """Tell the user of the run something."""
    logger.warning("%s", text)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    ``machines``: its workers may be on several. ``restarts_lost_shards``: a shard whose worker was lost is
    made again within the run. ``has_shared_folder``: every worker sees the program's own file system.
    ``stops_gracefully``: when a stop is asked for, open shards are completed, or kept for the next run.
    ``shares_output``: several programs, each a member, make one dataset in one folder.
    """

    machines: bool
    restarts_lost_shards: bool
    has_shared_folder: bool
    stops_gracefully: bool
    shares_output: bool = False


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


def as_member(settings: WorkSettings, member: int, members: int) -> WorkSettings:
    """What the workers of one member are told: what a host may be asked for is divided among all.

    Args:
        settings: of the run.
        member: which one, from 0.
        members: how many there are.
    """
    fetch = dataclasses.replace(settings.fetch, member=member, members=members)
    return dataclasses.replace(settings, fetch=fetch)


class ReadAnew:
    """The shards of a pass, for engines that go over them more than once: each time, the list is read again.

    Args:
        read: hands out the shards, but those it is told to skip.
        skip: shards that are not in this pass.
    """

    def __init__(self, read: Callable[[Container[int]], Iterator[PlannedShard]], skip: Container[int]):
        self._read = read
        self._skip = skip

    def __iter__(self) -> Iterator[PlannedShard]:
        return self.without(lambda shard_id: False)

    def without(self, leave_out: Callable[[int], bool]) -> Iterator[PlannedShard]:
        """The shards, but those left out, whose rows are counted and not read."""
        return self._read(_Skipped(self._skip, leave_out))


@dataclass(frozen=True, slots=True)
class _Skipped:
    skip: Container[int]
    leave_out: Callable[[int], bool]

    def __contains__(self, shard_id: object) -> bool:
        return shard_id in self.skip or (isinstance(shard_id, int) and self.leave_out(shard_id))


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
                ``capabilities.machines``, most say where their rows lie; else all are rows. In a run they are
                ``ReadAnew``.
            settings: what every worker is started with.

        Yields:
            One report a shard, as they end. After a stop was asked for, of those only that were open.

        Raises:
            Exception: what ``shards`` raised, after the shards that it had handed out are done.
            RunFailed: no worker can be kept running.
        """

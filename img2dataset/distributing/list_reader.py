"""The list, read ahead of the workers by a thread of its own. Used by the engines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from img2dataset.errors import Img2datasetError, RunFailed
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader
from img2dataset.storage.patience import Patience
from img2dataset.storage.retries import is_mistake
from img2dataset.types import PlannedShard, Shard, ShardReport

logger = logging.getLogger("img2dataset")

# What is told of each shard.
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ShardRead:
    """The next shard of the list."""

    shard: Shard


@dataclass(frozen=True, slots=True)
class ShardUnreadable:
    """The next shard's rows cannot be read; that is how it ends."""

    report: ShardReport


@dataclass(frozen=True, slots=True)
class ListEnded:
    """There are no more shards, or none can be read for this reason."""

    error: BaseException | None


def broke_off(error: BaseException) -> RunFailed:
    """What a run ends with when reading its list has failed for no reason of a user's; logs the traceback."""
    level = logging.ERROR if is_mistake(error) else logging.DEBUG
    logger.log(level, "reading the list broke off", exc_info=error)
    told = RunFailed(f"reading the list broke off: {type(error).__name__}: {error}")
    told.__cause__ = error
    return told


def shards_of(
    planned: Iterable[PlannedShard], options: InputOptions, patience: Patience | None = None
) -> Iterator[ShardRead | ShardUnreadable]:
    """Each shard, read where it lies.

    Args:
        planned: the shards; what it raises is raised.
        options: of the list.
        patience: with its store.
    """
    reader = ShardReader(options, patience)
    return (_read(reader, shard) for shard in planned)


def _read(reader: ShardReader, shard: PlannedShard) -> ShardRead | ShardUnreadable:
    try:
        return ShardRead(reader.read(shard))
    except Img2datasetError as error:
        return ShardUnreadable(ShardReport(shard.shard_id, error=f"{type(error).__name__}: {error}"))


class ListReader(Generic[Item]):
    """Reads ``ahead`` shards at most that nobody has taken yet.

    Args:
        shards: what is read, in the thread; as ``shards_of`` gives it, or as they were planned.
        tell: called with each of them, and then with the end; thread safe.
        ahead: a number of shards.
    """

    def __init__(
        self,
        shards: Iterable[Item],
        tell: Callable[[Item | ListEnded], None],
        ahead: int,
    ):
        self._shards = shards
        self._tell = tell
        self._room = threading.Semaphore(ahead)
        self._has_told_its_end = False
        self._thread = threading.Thread(target=self._read_all, name="feeder", daemon=True)
        self._thread.start()

    def shard_taken(self) -> None:
        """Let one more be read."""
        self._room.release()

    def check(self) -> None:
        """Tell the end of the list if the thread has died even of telling it."""
        if not self._thread.is_alive() and not self._has_told_its_end:
            self._has_told_its_end = True
            error = RunFailed("the thread that reads the list has died; the same command goes on")
            self._tell(ListEnded(error))

    def _read_all(self) -> None:
        error: BaseException | None = None
        try:
            for shard in self._shards:
                self._room.acquire()
                self._tell(shard)
        except Img2datasetError as raised:
            error = raised
        except BaseException as raised:  # of this thread itself: the generator tells its own
            error = broke_off(raised)
        self._tell(ListEnded(error))
        self._has_told_its_end = True

"""Which shards one rank makes: those of its part, then what others have left, each with its lease.

In: the shards of a pass. Out: those to make now. Called by ``ranks``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from img2dataset.counted import counted
from img2dataset.distributing.engine import EngineSettings, ReadAnew
from img2dataset.distributing.kept_specs import KeptSpecs
from img2dataset.distributing.rank_numbers import Rank
from img2dataset.errors import Img2datasetError, OutputError, one_line
from img2dataset.formats.dataset import finished_shard, shard_name, statistics_name
from img2dataset.stopping import StopRequest
from img2dataset.storage.folders import names_in
from img2dataset.storage.leases import Leases
from img2dataset.storage.locations import Location
from img2dataset.storage.retries import Result
from img2dataset.types import PlannedShard, ShardReport, ShardSpec
from img2dataset.working import WorkSettings

logger = logging.getLogger("img2dataset")

# How often a rank that has nothing left to do looks whether others have given something back: less often
# where there is more to look at, for the sake of the store.
LOOK_INTERVAL_S = 2.0
LOOK_INTERVAL_S_PER_SHARD = 0.05
_WAKE_S = 0.2


class Share:
    """What one rank makes of one pass, from its first shard to ``close``.

    ``shards_to_make`` runs in the thread that reads the list, and the rest in that of the engine, which waits
    for it to end before it calls ``has_work`` again.

    Args:
        rank: which.
        engine: how many processes it has, and how long others may be silent.
        settings: where the shards go.
        stop: asked for from outside.

    Raises:
        OutputError: no lease can be kept in the output folder.
    """

    def __init__(self, rank: Rank, engine: EngineSettings, settings: WorkSettings, stop: StopRequest) -> None:
        self._rank = rank
        self._stop = stop
        # Other threads of the program are at the output folder too.
        self._location = settings.write.locate_patiently(lambda: stop.made).for_this_thread()
        self._digits = settings.write.shard_digits
        # Of others' parts, so many at once: each begun shard is one that no other rank can help with.
        self._most_at_once = engine.processes_count + 1
        # With retry_failed, shards that are done are made again, by the rank in whose part they are.
        self._to_retry = self._done() if settings.retry is not None else set()
        self._given_out: set[int] = set()
        # What others were at when it was this rank's turn; None before the first look at others' parts.
        self._left: set[int] | None = None
        # One of those that has turned out to be free.
        self._free: int | None = None
        self._kept = KeptSpecs()
        self._has_rows = False
        self._leases = Leases(self._location, rank.name, settings.write.run_id, engine.options.lease_s)
        self._told(self._leases.start)

    def has_work(self) -> bool:
        """Whether there may be something to make; waits while all that is left is in others' hands."""
        if self._left is None:
            return True
        has_said_so = False
        while self._left and not self._stop.made:
            for shard_id in sorted(self._left):
                if self._claim(shard_id):
                    self._free = shard_id
                    return True
            if self._left and not has_said_so:
                has_said_so = True
                at_work = counted(len(self._left), "shard")
                logger.info("%s waits for %s that others are at", self._rank.name, at_work)
            self._sleep(max(LOOK_INTERVAL_S, LOOK_INTERVAL_S_PER_SHARD * len(self._left)))
        return False

    def shards_to_make(self, shards: Iterable[PlannedShard]) -> Iterator[PlannedShard]:
        """The shards to make now, each with its lease.

        Args:
            shards: all of the pass.

        Raises:
            OutputError: the output folder fails.
        """
        if self._left is not None:
            left = self._left | {self._free}
            yield from self._claimed(self._again(shards, lambda shard_id: shard_id not in left))
            return
        left_behind: set[int] = set()
        self._left = left_behind
        yield from self._claimed(self._own(shards))
        if self._has_ended() or (self._rank.world_size == 1 and not left_behind):
            return
        done = self._done()

        def is_no_concern(shard_id: int) -> bool:
            return shard_id in done or shard_id in self._given_out or shard_id in left_behind

        yield from self._claimed(self._again(shards, is_no_concern), self._most_at_once)

    def _own(self, shards: Iterable[PlannedShard]) -> Iterator[PlannedShard]:
        """The shards of this rank's part, while where the others lie is kept."""
        for shard in _without(shards, lambda shard_id: self._has_rows and not self._is_own(shard_id)):
            if isinstance(shard, ShardSpec):
                self._kept.keep(shard)
            else:
                # Rows are too much to keep, or to build for others: the list is read again for those.
                self._has_rows = True
            if self._is_own(shard.shard_id):
                yield shard

    def _again(
        self, shards: Iterable[PlannedShard], leave_out: Callable[[int], bool]
    ) -> Iterator[PlannedShard]:
        """The shards of the pass once more, but those left out."""
        return _without(shards, leave_out) if self._has_rows else self._kept.read(leave_out)

    def _is_own(self, shard_id: int) -> bool:
        return shard_id % self._rank.world_size == self._rank.number

    def ended(self, report: ShardReport) -> None:
        """A shard has been made, or kept unfinished, or has failed: it is nobody's now."""
        self._leases.give_back(self._name(report.shard_id))

    def close(self) -> None:
        """Give back all that was not made. Never raises."""
        self._leases.close()
        impatient = replace(self._location, patience=None)
        self._leases.remove_leftovers(lambda name: self._stands(name, impatient))

    def _claimed(self, shards: Iterator[PlannedShard], most: int | None = None) -> Iterator[PlannedShard]:
        """Those of the shards of which this rank has the lease, at most so many at once."""
        for shard in shards:
            while most is not None and self._leases.held >= most and not self._has_ended():
                time.sleep(_WAKE_S)
            if self._has_ended():
                return
            if self._claim(shard.shard_id):
                self._given_out.add(shard.shard_id)
                yield shard

    def _claim(self, shard_id: int) -> bool:
        """Whether this rank is to make a shard; it has its lease then."""
        assert self._left is not None
        name = self._name(shard_id)
        if not self._told(lambda: self._leases.take(name)):
            self._left.add(shard_id)
            return False
        self._left.discard(shard_id)
        if shard_id not in self._to_retry and self._told(lambda: self._stands(name)):
            self._leases.give_back(name)
            return False
        return True

    def _done(self) -> set[int]:
        """The shards that are done."""
        names = self._told(lambda: names_in(self._location, self._location.path))
        return {shard_id for name in names if (shard_id := finished_shard(name)) is not None}

    def _stands(self, name: str, location: Location | None = None) -> bool:
        """Whether a shard is done."""
        location = location or self._location
        path = f"{location.path}/{statistics_name(name)}"
        if not location.is_local:
            location.file_system.invalidate_cache()
        return bool(location.tried(lambda: location.file_system.exists(path)))

    def _has_ended(self) -> bool:
        return self._stop.made or self._leases.is_closed

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop.made and time.monotonic() < until:
            time.sleep(_WAKE_S)

    def _name(self, shard_id: int) -> str:
        return shard_name(shard_id, self._digits)

    def _told(self, operation: Callable[[], Result]) -> Result:
        """Whatever a file system raises becomes one line that names the folder."""
        try:
            return operation()
        except Img2datasetError:
            raise
        except Exception as error:  # every file system has its own errors
            raise OutputError(
                f"output_folder {self._location.name!r}: no leases of shards can be kept: {one_line(error)}"
            ) from error


def _without(shards: Iterable[PlannedShard], leave_out: Callable[[int], bool]) -> Iterator[PlannedShard]:
    if isinstance(shards, ReadAnew):
        return shards.without(leave_out)
    return (shard for shard in shards if not leave_out(shard.shard_id))

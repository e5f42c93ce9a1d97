"""One of several programs that make one dataset in one folder, without a coordinator.

Every rank goes over the same list and makes the shards of its part: those whose number is its own modulo the
number of ranks. Then it makes what is left of others' parts, so that ranks that are late, slow, gone or added
are helped. Before a shard is begun, its lease is taken (``storage.leases``): two ranks make one shard only
where an owner was given up, which is harmless, since shards commit whole. A rank ends when each shard is
done, or was tried here and failed. The shards themselves are made by a ``LocalPool``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from img2dataset.distributing.engine import Capabilities, EngineSettings, Progress, as_member
from img2dataset.distributing.local import LocalPool
from img2dataset.distributing.rank_numbers import find_rank
from img2dataset.distributing.share import Share
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, ShardReport, Status
from img2dataset.working import WorkSettings


class Ranks:
    """The engine of one rank.

    Args:
        settings: say which rank this is; else the environment does.
        on_progress: see ``create_engine``; of this rank alone.
        stop: likewise.

    Raises:
        OptionError: as ``find_rank``.
    """

    capabilities = Capabilities(
        machines=True,
        restarts_lost_shards=True,
        has_shared_folder=False,
        stops_gracefully=True,
        shares_output=True,
    )

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        self._settings = settings
        self._rank = find_rank(settings.options, os.environ)
        self._on_progress = on_progress
        self._stop = stop
        self._rows_before: Counter[Status] = Counter()
        self._rows_now: Counter[Status] = Counter()
        self._pool = LocalPool(settings, self._show, stop)
        # A shard that waits here is one that no other rank can begin with.
        self._pool.shards_ahead = settings.processes_count
        self.member = self._pool.member = self._rank.name

    @property
    def deaths(self) -> list[str]:
        """See ``Engine``."""
        return self._pool.deaths

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make the shards that are this rank's, and those that others leave; see ``Engine``."""
        settings = as_member(settings, self._rank.number, self._rank.world_size)
        # From here on a signal is a request to stop, and breaks into nothing.
        self._stop.listen(None)
        share = Share(self._rank, self._settings, settings, self._stop)
        self._rows_before.clear()
        try:
            while share.has_work():
                for report in self._pool.run(share.shards_to_make(shards), settings):
                    share.ended(report)
                    yield report
                self._rows_before += self._rows_now
                self._rows_now = Counter()
        finally:
            share.close()

    def _show(self, rows_done: Counter[Status]) -> None:
        """The rows of one pass of the pool, on top of those before it."""
        self._rows_now = Counter(rows_done)
        self._on_progress(self._rows_before + rows_done)

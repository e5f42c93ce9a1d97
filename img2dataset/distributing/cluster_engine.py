"""What the engines of Spark and Ray have in common: what they can do, and what they are made with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator

from img2dataset.distributing.engine import Capabilities, EngineSettings, Progress, log_warning
from img2dataset.distributing.list_reader import ShardRead, shards_of
from img2dataset.distributing.member_notes import DRIVER
from img2dataset.fetching.contact_notice import ContactNotice
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, RowsSpec
from img2dataset.working import WorkSettings


class ClusterEngine:
    """The part of an ``Engine`` that every cluster's has; ``run`` is its own.

    Args:
        settings: of the run.
        on_progress, stop: see ``create_engine``.
    """

    capabilities = Capabilities(
        machines=True, restarts_lost_shards=True, has_shared_folder=False, stops_gracefully=True
    )

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        self.settings = settings
        self.config = settings.options.cluster_settings
        self.on_progress = on_progress
        self.stop = stop
        self.member = DRIVER
        self.deaths: list[str] = []
        self._said: set[str] = set()
        self._saying = threading.Lock()
        self._has_looked = False

    def tell(self, text: str) -> None:
        """Tell the user something that a member has found, however many find it, once a run."""
        with self._saying:
            is_new = text not in self._said
            self._said.add(text)
        if is_new:
            log_warning(text)

    def looked_at(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[PlannedShard]:
        """The shards, with what their hosts give cause to say before they are given out.

        Of a list that is given out by place this program sees the rows of the first shard alone; the members
        say it of the others.
        """
        notice = ContactNotice(settings.fetch, self.tell)
        for shard in shards:
            if isinstance(shard, RowsSpec) or not self._has_looked:
                self._has_looked = True
                with contextlib.suppress(Exception):  # whoever makes it says why it cannot be read
                    (read,) = shards_of([shard], self.settings.list)
                    if isinstance(read, ShardRead):
                        notice.look_at_column(read.shard.rows.column("url"))
            yield shard

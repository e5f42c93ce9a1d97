"""The engine of Spark: ``--distributor pyspark``. Each pass is one of ``spark_pass``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from img2dataset.distributing.cluster_engine import ClusterEngine
from img2dataset.distributing.engine import EngineSettings, Progress
from img2dataset.distributing.spark_pass import SparkPass
from img2dataset.distributing.spark_session import Session, check_spark
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, ShardReport
from img2dataset.working import WorkSettings


class SparkEngine(ClusterEngine):
    """Has the tasks of a Spark cluster make shards; see ``Engine``.

    Args:
        settings: of the run.
        on_progress, stop: see ``create_engine``.

    Raises:
        MissingDependency: pyspark is not installed.
    """

    def __init__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> None:
        check_spark()
        super().__init__(settings, on_progress, stop)

    def run(self, shards: Iterable[PlannedShard], settings: WorkSettings) -> Iterator[ShardReport]:
        """Make all shards; see ``Engine``."""
        session = Session(self.config, self.settings)
        with contextlib.closing(session):
            yield from SparkPass(self, session, settings).run(shards)

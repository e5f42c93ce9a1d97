"""What the engines of Spark and Ray have in common: what they can do, and what they are made with."""

from __future__ import annotations

from img2dataset.distributing.engine import Capabilities, EngineSettings, Progress
from img2dataset.distributing.member_notes import DRIVER
from img2dataset.stopping import StopRequest


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

"""The engines by name: those built in, and those of other packages (``img2dataset.plugins``)."""

from __future__ import annotations

from typing import Protocol

from img2dataset.distributing.engine import Engine, EngineSettings, Progress
from img2dataset.plugins import ENGINES, load_plugin
from img2dataset.stopping import StopRequest


class MakesEngine(Protocol):
    """An entry point of the group ``img2dataset.engines``: a class or function that makes an ``Engine``."""

    def __call__(self, settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> Engine:
        """A new engine; the arguments are those of ``create_engine``."""


def create_engine(settings: EngineSettings, on_progress: Progress, stop: StopRequest) -> Engine:
    """The engine that the option ``distributor`` names: built in, or of another package.

    Args:
        settings: of the run.
        on_progress: called with the rows done so far in this pass, by status, when they have changed.
        stop: asked for from outside; open shards then have a few seconds to be completed.

    Raises:
        OptionError: no engine has the name, or what it needs to be told is missing or wrong.
        MissingDependency: the package that has it cannot be imported.
    """
    distributor = settings.options.distributor
    if distributor == "multiprocessing":
        from img2dataset.distributing.local import LocalPool

        return LocalPool(settings, on_progress, stop)
    if distributor == "ranks":
        from img2dataset.distributing.ranks import Ranks

        return Ranks(settings, on_progress, stop)
    if distributor == "pyspark":
        from img2dataset.distributing.spark import SparkEngine

        return SparkEngine(settings, on_progress, stop)
    if distributor == "ray":
        from img2dataset.distributing.ray_cluster import RayEngine

        return RayEngine(settings, on_progress, stop)
    makes_engine: MakesEngine = load_plugin(ENGINES, distributor)
    return makes_engine(settings, on_progress, stop)

"""Where else a run reports to: events come in, and go to each sink in a process of its own.

``sink`` says what one is, ``wandb``, ``tensorboard`` and ``mlflow`` are some; ``told`` and ``sink_process``
are the two ends of the pipe between. Called by the api. A sink that fails, hangs or is slow costs the run
nothing but a line: events that it has no room for are dropped and counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import get_args

from img2dataset.options.table import SinkName
from img2dataset.plugins import SINKS, make_plugin
from img2dataset.reporting.events import Event
from img2dataset.reporting.sinks.sink import Sink, SinkSettings
from img2dataset.reporting.sinks.told import ToldSink

__all__ = ["Sink", "SinkSettings", "Sinks", "sink_of"]

# What the end of a run waits for its sinks, all of them together.
LAST_EVENTS_S = 30.0


def sink_of(name: str) -> Sink:
    """The sink of this name: built in, or of another package.

    Raises:
        OptionError: there is none, or it is no whole sink.
        MissingDependency: the package that has it cannot be imported.
    """
    if name in get_args(SinkName):
        built_in: Sink = import_module(f"img2dataset.reporting.sinks.{name}").Reporter()
        return built_in
    return make_plugin(SINKS, name, Sink)  # type: ignore[type-abstract]


class Sinks:
    """Passes the events of one run on to its sinks, from when it is made to ``close``.

    Args:
        names: of the sinks.
        settings: what they are told of the options.

    Raises:
        OptionError: there is no sink of a name, or it cannot report as it is set up.
        MissingDependency: a package that one needs is not installed.
    """

    def __init__(self, names: Sequence[str], settings: SinkSettings) -> None:
        sinks = {name: sink_of(name) for name in dict.fromkeys(names)}
        for sink in sinks.values():
            sink.check(settings)
        self._told = [ToldSink(name, settings) for name in sinks]

    def take(self, event: Event) -> None:
        """Pass an event on; never waits and never raises."""
        for told in self._told:
            told.take(event)

    def close(self, wait_s: float = LAST_EVENTS_S) -> None:
        """Wait for the sinks to take their last events, so long at most, and say what was lost."""
        deadline = time.monotonic() + wait_s
        for told in self._told:
            told.close(deadline)

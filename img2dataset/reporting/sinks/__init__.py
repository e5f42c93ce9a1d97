"""Where else a run reports to: events come in, and go to each sink on a thread of its own.

``sink`` says what one is; each other file here is one, of its name. Called by the api. A sink that fails,
hangs or is slow costs the run nothing but a line: events that it has no room for are dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from typing import get_args

from img2dataset.errors import one_line
from img2dataset.options.table import SinkName
from img2dataset.plugins import SINKS, make_plugin
from img2dataset.printable import printable
from img2dataset.reporting.events import EndEvent, Event, RunEvent, TickEvent
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.sinks.sink import Sink, SinkSettings

__all__ = ["Sink", "SinkSettings", "Sinks", "sink_of"]

logger = logging.getLogger("img2dataset")

# More than an hour's: a service that is away for a while loses nothing.
MOST_EVENTS_WAITING = 1000
# What the end of a run waits for its sinks, all of them together.
LAST_EVENTS_S = 10.0


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
        self._told = [_Told(name, sink, settings) for name, sink in sinks.items()]

    def take(self, event: Event) -> None:
        """Pass an event on; never waits and never raises."""
        for told in self._told:
            told.take(event)

    def close(self, wait_s: float = LAST_EVENTS_S) -> None:
        """Wait for the sinks to take their last events, so long at most, and say what was lost."""
        deadline = time.monotonic() + wait_s
        for told in self._told:
            told.close(deadline)


class _Told:
    """One sink, and the events that it has not taken yet."""

    def __init__(self, name: str, sink: Sink, settings: SinkSettings) -> None:
        self._name, self._sink, self._settings = name, sink, settings
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_EVENTS_WAITING)
        self._dropped = 0
        self._has_failed = False
        self._thread: threading.Thread | None = None

    def take(self, event: Event | None) -> None:
        if isinstance(event, RunEvent):
            # Not among those that wait: without it the others say nothing.
            self._thread = threading.Thread(
                target=self._tell_all, args=(event,), name=f"sink {self._name}", daemon=True
            )
            self._thread.start()
            return
        while not self._has_failed and not self._has_taken(event):
            # The oldest goes: the latest has the sums of all, and the last says that the run is over.
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
                self._dropped += 1

    def _has_taken(self, event: Event | None) -> bool:
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(event)
            return True
        return False

    def close(self, deadline: float) -> None:
        if self._thread is None:
            return
        self.take(None)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._dropped += self._waiting.qsize()
            logger.warning(
                "--sinks %s: it does not answer, and was not told %d events; the event log of the output"
                " folder has them",
                self._name,
                self._dropped,
            )
        elif self._dropped and not self._has_failed:
            logger.warning("--sinks %s: it was too slow: %d events were dropped", self._name, self._dropped)

    def _tell_all(self, run: RunEvent) -> None:
        try:
            self._sink.begin(run, self._settings)
            so_far = FollowedLog(run, run.time)
            while (event := self._waiting.get()) is not None:
                self._tell(event, so_far)
        except BaseException as error:  # a library may call exit()
            self._has_failed = True
            logger.warning(
                "--sinks %s: %s: %s; the run goes on, and is not reported there any more",
                self._name,
                type(error).__name__,
                printable(one_line(error)),
            )

    def _tell(self, event: Event, so_far: FollowedLog) -> None:
        if isinstance(event, TickEvent):
            so_far.take(event)
            self._sink.tick(event, so_far)
        elif isinstance(event, EndEvent):
            so_far.take(event)
            self._sink.end(event, so_far)

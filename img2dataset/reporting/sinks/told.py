"""One sink, seen from the program: events come in, and go on to its process one by one. Used by ``Sinks``."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections import deque

from img2dataset.log_output import notice
from img2dataset.printable import printable
from img2dataset.processes.child import Child, Ended, Heard, Program
from img2dataset.reporting.events import EndEvent, Event, RunEvent, TickEvent
from img2dataset.reporting.sinks.sink import SinkSettings
from img2dataset.reporting.sinks.sink_process import Begin, Failed, ReportsTo, Taken, Told

logger = logging.getLogger("img2dataset")

# More than an hour's: a service that is away for a while loses nothing.
MOST_EVENTS_WAITING = 1000
# A process that is told to end, or is killed, is gone within this.
LAST_BREATH_S = 1.0


class ToldSink:
    """Has one sink told the events of a run, from its first to ``close``.

    Args:
        name: of the sink.
        settings: what it is told of the options.
    """

    def __init__(self, name: str, settings: SinkSettings) -> None:
        self._name, self._settings = name, settings
        self._child: Child[Told, Taken | Failed | ReportsTo] | None = None
        self._changed = threading.Condition()  # guards what follows
        self._waiting: deque[TickEvent | EndEvent] = deque()
        self._is_busy = False
        self._dropped = 0
        self._has_failed = self._is_closing = False

    def take(self, event: Event) -> None:
        """Pass an event on, now or later; never waits and never raises."""
        if isinstance(event, RunEvent):
            self._start(event)
            return
        with self._changed:
            if self._child is None or self._has_failed:
                return
            if len(self._waiting) >= MOST_EVENTS_WAITING:
                # The oldest goes: the latest has the sums of all, and the last says that the run is over.
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(event)
            self._send_next()

    def close(self, deadline: float) -> None:
        """Wait until all is taken, and say what was lost.

        Args:
            deadline: by ``time.monotonic``.
        """
        if self._child is None:
            return
        with self._changed:
            self._changed.wait_for(
                lambda: self._has_failed or not self._is_busy, max(0.0, deadline - time.monotonic())
            )
            self._is_closing = True
            hangs, lost = self._is_busy and not self._has_failed, self._dropped + len(self._waiting)
        if hangs:
            self._warn(f"it does not answer, and {lost:,} events were not told to it")
        elif self._dropped and not self._has_failed:
            self._warn(f"it was too slow: {self._dropped:,} events were dropped")
        self._child.send(None)
        if hangs or not self._child.wait(LAST_BREATH_S):
            # It has a session of its own, and with it what its library has started.
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(LAST_BREATH_S)

    def _start(self, run: RunEvent) -> None:
        try:
            child: Child[Told, Taken | Failed | ReportsTo] = Child(
                0, Program("img2dataset.reporting.sinks.sink_process", f"sink {self._name}"), self._hear
            )
        except (OSError, RuntimeError) as error:
            self._warn(f"no process can be started for it: {error}")
            return
        with self._changed:
            self._child, self._is_busy = child, True
        child.send(Begin(self._name, self._settings, run))

    def _hear(self, heard: Heard[Taken | Failed | ReportsTo] | Ended) -> None:
        if isinstance(heard, Heard) and isinstance(heard.message, ReportsTo):
            notice("sink", heard.message.text, sink=self._name)
            return
        with self._changed:
            if isinstance(heard, Heard) and isinstance(heard.message, Taken):
                self._is_busy = False
                self._send_next()
            elif not self._has_failed:
                self._has_failed = True
                if isinstance(heard, Heard) and isinstance(heard.message, Failed):
                    self._warn(f"{heard.message.reason}; the run goes on, and is not reported there any more")
                elif isinstance(heard, Ended) and not self._is_closing:
                    self._warn(f"its process has ended with status {heard.exit_status}; the run goes on")
            self._changed.notify_all()

    def _send_next(self) -> None:
        if not self._is_busy and self._waiting and self._child is not None:
            self._is_busy = True
            self._child.send(self._waiting.popleft())

    def _warn(self, text: str) -> None:
        logger.warning("--sinks %s: %s", self._name, printable(text))

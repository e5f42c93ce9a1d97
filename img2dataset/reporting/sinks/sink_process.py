"""The process of one sink: events come from the program, and it says when it has taken each. Run by ``told``.

What the library of a sink prints goes nowhere: it would stand between the lines of the run.
"""

from __future__ import annotations

import os
import queue
from dataclasses import dataclass
from typing import TypeAlias

from img2dataset.errors import one_line
from img2dataset.processes.parent import Parent, end_process, join_parent
from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.sinks.named import sink_of
from img2dataset.reporting.sinks.sink import Sink, SinkSettings


@dataclass(frozen=True, slots=True)
class Begin:
    """The first that it is told: which sink it is, and of which run."""

    name: str
    settings: SinkSettings
    run: RunEvent


@dataclass(frozen=True, slots=True)
class Taken:
    """It is ready for the next event."""


@dataclass(frozen=True, slots=True)
class ReportsTo:
    """A line for people: where the run can be seen."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It takes nothing any more."""

    reason: str


Told: TypeAlias = "Begin | TickEvent | EndEvent | None"
Said: TypeAlias = "Taken | ReportsTo | Failed"


def main() -> None:
    """Tell a sink what the program tells, until there is nothing more, or the program is gone."""
    program: Parent[Told, Said] = join_parent()
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    try:
        _tell_all(program)
    except BaseException as error:  # a library may call exit()
        program.say(Failed(f"{type(error).__name__}: {one_line(error)}"))
    end_process()


def _tell_all(program: Parent[Told, Said]) -> None:
    heard: queue.SimpleQueue[Told] = queue.SimpleQueue()

    def hear_all() -> None:
        while True:
            heard.put(program.hear())

    # Beside the sink: while its library hangs, it is heard too that the program is gone, which ends this.
    program.start_vital_thread("hearing", hear_all, Failed)
    begin = heard.get()
    assert isinstance(begin, Begin)
    sink: Sink = sink_of(begin.name)
    if where := sink.begin(begin.run, begin.settings):
        program.say(ReportsTo(where))
    program.say(Taken())
    so_far = FollowedLog(begin.run, begin.run.time)
    while (event := heard.get()) is not None:
        assert not isinstance(event, Begin)
        so_far.take(event)
        if isinstance(event, TickEvent):
            sink.tick(event, so_far)
        else:
            sink.end(event, so_far)
        program.say(Taken())

"""What the event log of a run says: one JSON object a line, and how it is read again.

``run`` when a program begins, ``tick`` every ten seconds and soon after a shard has ended, ``end`` when it is
over. ``event_log`` writes them; whoever shows a run reads them, while it goes on or later, on this machine or
another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from img2dataset.reporting.facts import Facts, facts_of_document
from img2dataset.reporting.surroundings import Surroundings, surroundings_of_document


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A program has begun. ``run``: its id. ``url_list``: as it was given, without what is secret in it.

    ``mode``: the incremental mode. Times in Unix seconds.
    """

    time: float
    run: str
    member: str
    url_list: str
    mode: str
    surroundings: Surroundings

    def to_document(self) -> dict[str, Any]:
        """This as JSON values."""
        fields = {name: getattr(self, name) for name in ("time", "run", "member", "url_list", "mode")}
        return {"event": "run", **fields, "surroundings": self.surroundings.to_document()}


@dataclass(frozen=True, slots=True)
class TickEvent:
    """How far a program is.

    ``rows``: those done so far by status, of open shards too. ``rows_of_list``: of the whole list, None while
    it is not known. ``cpu_s``: seconds of CPU so far, of this program and the processes below it; ``memory``:
    bytes of all of them now; both None where the system does not tell. ``facts``: of the shards that have
    ended since the last tick, if any.
    """

    time: float
    rows: Mapping[str, int]
    rows_of_list: int | None = None
    cpu_s: float | None = None
    memory: int | None = None
    facts: Facts | None = None

    def to_document(self) -> dict[str, Any]:
        """This as JSON values."""
        fields = {name: getattr(self, name) for name in ("time", "rows", "rows_of_list", "cpu_s", "memory")}
        facts = {"facts": self.facts.to_document()} if self.facts is not None else {}
        return {"event": "tick", **fields, **facts}


@dataclass(frozen=True, slots=True)
class EndEvent:
    """A program is over. ``error``: why it ended early. ``findings``: as documents of ``Finding``."""

    time: float
    exit_status: int
    error: str | None = None
    worker_deaths: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """This as JSON values."""
        names = ("time", "exit_status", "error", "worker_deaths", "findings")
        return {"event": "end", **{name: getattr(self, name) for name in names}}


Event: TypeAlias = "RunEvent | TickEvent | EndEvent"
_KINDS: dict[str, type[Event]] = {"run": RunEvent, "tick": TickEvent, "end": EndEvent}


@dataclass
class RunLog:
    """What one program has logged of its part of a run; ``end`` is None while it goes on, or was killed."""

    run: RunEvent
    ticks: list[TickEvent] = field(default_factory=list)
    end: EndEvent | None = None

    @property
    def facts(self) -> Facts:
        """Of all the shards that it has made."""
        facts = Facts()
        for tick in self.ticks:
            if tick.facts is not None:
                facts.add(tick.facts)
        return facts

    @property
    def heard(self) -> float:
        """When it last said anything, Unix seconds."""
        if self.end is not None:
            return self.end.time
        return self.ticks[-1].time if self.ticks else self.run.time


def run_log_of_lines(lines: Iterable[str]) -> RunLog | None:
    """What the lines of one log say; None if they do not begin with a run. Broken lines are left out."""
    log: RunLog | None = None
    for event in filter(None, map(event_of_line, lines)):
        if isinstance(event, RunEvent):
            log = RunLog(event)
        elif log is not None and isinstance(event, TickEvent):
            log.ticks.append(event)
        elif log is not None and isinstance(event, EndEvent):
            log.end = event
    return log


def event_of_line(line: str) -> Event | None:
    """The event that a line says; None if it is cut short, or of a later version."""
    try:
        document = json.loads(line)
        kind: type[Event] = _KINDS[document["event"]]
        if "surroundings" in document:
            document["surroundings"] = surroundings_of_document(document["surroundings"])
        if "facts" in document:
            document["facts"] = facts_of_document(document["facts"])
        if not isinstance(document["time"], (int, float)) or not isinstance(document.get("rows", {}), dict):
            return None
        return kind(**{name: document[name] for name in kind.__slots__ if name in document})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def facts_of_logs(logs: Iterable[RunLog]) -> Facts:
    """What is known of the shards that these logs are of, the earliest first.

    A run that begins anew, or takes failed rows up again, counts its shards again: what was logged before it
    is left out.
    """
    facts = Facts()
    heard = 0.0
    for log in logs:
        # The ranks of one run each have a log of their own, and are at work at the same time.
        is_another_run = log.run.time > heard
        if log.run.mode in ("overwrite", "retry_failed") and is_another_run:
            facts = Facts()
        heard = max(heard, log.heard)
        facts.add(log.facts)
    return facts

"""The event logs of a folder, followed while they grow: each look reads only what is new.

Used by ``live_page``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from img2dataset.reporting.event_log import LOG_ENDING, LOG_FOLDER
from img2dataset.reporting.events import EndEvent, Event, RunEvent, TickEvent, event_of_line
from img2dataset.reporting.facts import Facts
from img2dataset.storage.locations import Location
from img2dataset.types import SUCCESS

READ_BYTES = 1 << 20
# What a line can have at most: broken ones are not gathered for ever.
MOST_BYTES_OF_LINE = 4 << 20
MOST_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Point:
    """How far a program was at a time: sums since it began, and the bytes of memory that it had."""

    time: float
    rows: int
    successes: int
    cpu_s: float | None = None
    memory: int | None = None


@dataclass
class FollowedLog:
    """What one program has logged so far, of bounded size.

    ``points``: in the order of time, thinned out where they are many. ``bytes_in``: times, and the bytes
    downloaded by then. ``rows``: those done so far by status.
    """

    run: RunEvent
    heard: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    rows_of_list: int | None = None
    facts: Facts = field(default_factory=Facts)
    points: list[Point] = field(default_factory=list)
    bytes_in: list[tuple[float, int]] = field(default_factory=list)
    end: EndEvent | None = None

    def take(self, event: TickEvent | EndEvent) -> None:
        """Add what an event says."""
        self.heard = max(self.heard, event.time)
        if isinstance(event, EndEvent):
            self.end = event
            return
        if event.facts is not None:
            self.facts.add(event.facts)
            self.bytes_in.append((event.time, self.facts.bytes_in))
        self.rows_of_list = event.rows_of_list if event.rows_of_list is not None else self.rows_of_list
        self.rows = self._at_least_those_of_shards(event.rows)
        successes = self.rows.get(SUCCESS, 0)
        self.points.append(Point(event.time, sum(self.rows.values()), successes, event.cpu_s, event.memory))
        if len(self.points) > MOST_POINTS:
            # The first and the last stay.
            del self.points[1:-1:2]
        if len(self.bytes_in) > MOST_POINTS:
            del self.bytes_in[1:-1:2]

    def _at_least_those_of_shards(self, rows: Mapping[str, int]) -> dict[str, int]:
        """The rows that a tick tells of; those of shards that have ended, where these are more."""
        if sum(rows.values()) >= self.facts.count:
            return dict(rows)
        return {
            SUCCESS: self.facts.successes,
            "failed_to_download": self.facts.failed_to_download,
            "failed_to_resize": self.facts.failed_to_resize,
        }


class LogFollower:
    """Follows the logs of one output folder.

    Args:
        location: the folder.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._folder = f"{location.path}/{LOG_FOLDER}"
        self._read: dict[str, int] = {}
        self._logs: dict[str, FollowedLog] = {}

    def look(self) -> list[FollowedLog]:
        """The logs as they are now, those that began first coming first.

        Raises:
            Exception: the folder cannot be listed or read; every file system has its own errors.
        """
        for name, size in sorted(self._sizes().items()):
            if name.endswith(LOG_ENDING) and size > self._read.get(name, 0):
                for line in self._new_lines(name, size):
                    self._take(name.partition(".")[0], event_of_line(line))
        return sorted(self._logs.values(), key=lambda log: log.run.time)

    def _take(self, name: str, event: Event | None) -> None:
        if isinstance(event, RunEvent):
            self._logs[name] = FollowedLog(event, event.time)
        elif event is not None and name in self._logs:
            self._logs[name].take(event)

    def _new_lines(self, name: str, size: int) -> Iterator[str]:
        """The whole lines that have not been read; one that is only begun is left for the next look."""
        path = f"{self._folder}/{name}"
        begun = b""
        position = self._read.get(name, 0)
        while position < size:
            new = self._bytes(path, position, min(position + READ_BYTES, size))
            if not new:
                break
            position += len(new)
            *whole, begun = (begun + new).split(b"\n")
            if len(begun) > MOST_BYTES_OF_LINE:
                begun = b""
            self._read[name] = position - len(begun)
            for line in whole:
                yield line.decode(errors="replace")

    def _bytes(self, path: str, start: int, end: int) -> bytes:
        file_system = self._location.file_system
        contents: bytes = self._location.tried(lambda: file_system.cat_file(path, start=start, end=end))
        return contents

    def _sizes(self) -> dict[str, int]:
        try:
            if self._location.is_local:
                with os.scandir(self._folder) as entries:
                    return {entry.name: entry.stat().st_size for entry in entries}
            file_system = self._location.file_system
            file_system.invalidate_cache()
            entries_there = self._location.tried(lambda: file_system.ls(self._folder, detail=True))
        except FileNotFoundError:
            return {}
        return {entry["name"].rpartition("/")[2]: entry["size"] or 0 for entry in entries_there}

"""What is found wrong with one shard, gathered while it is read.

In: a reason, and the key or name it was found at. Out: one short line a reason, however often it was found:
a shard with ten thousand bad images is one line. Called by everything in this room that reads.
"""

from __future__ import annotations

LISTED_PLACES = 3


class BrokenFile(Exception):
    """A file is not what it should be; ``str(error)`` says how, without the file's name."""


class UnreadableShard(Exception):
    """A shard could not be read, for a reason that says nothing of the shard itself: it must stay."""


class Findings:
    """The reasons why one shard is bad; empty for a good one."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, reason: str, place: str | None = None) -> None:
        """Note a reason, and the key or name where it was found."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        places = self._places.setdefault(reason, [])
        if place is not None and len(places) < LISTED_PLACES:
            places.append(place)

    def lines(self) -> tuple[str, ...]:
        """Each reason with the first places it was found at."""
        return tuple(self._line(reason) for reason in self._counts)

    def _line(self, reason: str) -> str:
        places = self._places[reason]
        if not places:
            return reason
        more = self._counts[reason] - len(places)
        return f"{reason}: {', '.join(places)}" + (f" and {more:,} more" if more else "")

"""What is found wrong with one shard, gathered while it is read.

In: a reason, and the key or name it was found at. Out: one short line a reason, however often it was found:
a shard with ten thousand bad images is one line. Called by the formats, where they read, and by
``verifying``.
"""

from __future__ import annotations

_LISTED_NAMES = 3


class BrokenFile(Exception):
    """A file is not what it should be; ``str(error)`` says how, without the file's name."""


class UnreadableShard(Exception):
    """A shard could not be read, for a reason that says nothing of the shard itself: it must stay."""


class Findings:
    """The reasons why one shard is bad; empty for a good one."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, reason: str, name: str | None = None) -> None:
        """Note a reason, and the key or name where it was found."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if name is not None and len(names) < _LISTED_NAMES:
            names.append(name)

    def lines(self) -> tuple[str, ...]:
        """Each reason with the first names that it was found at."""
        return tuple(self._line(reason) for reason in self._counts)

    def _line(self, reason: str) -> str:
        names = self._names[reason]
        if not names:
            return reason
        more = self._counts[reason] - len(names)
        return f"{reason}: {', '.join(names)}" + (f" and {more:,} more" if more else "")

"""Counts what ``AdaptiveConcurrency`` decides on, between the loop and whoever takes its rows."""

from __future__ import annotations

import resource
from collections.abc import Callable

from img2dataset.fetching.concurrency import INTERVAL_S, LARGEST, AdaptiveConcurrency, Interval
from img2dataset.types import Fetched

# Fewer ready bodies than this, and the pixels may have to wait.
STARVED_BELOW = 4


class Adapting:
    """Watches the rows that are delivered, and says how many transfers may be in flight.

    Args:
        start: the number to begin with.
        deliver: takes the rows that pass through ``deliver``.
    """

    def __init__(self, start: int, deliver: Callable[[Fetched], None]) -> None:
        # Each transfer holds a descriptor; files, pipes and idle connections need the rest.
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._concurrency = AdaptiveConcurrency(start, min(LARGEST, max(start, descriptors // 2)))
        self._pass_on = deliver
        self._interval = Interval()
        self._since: float | None = None

    def deliver(self, fetched: Fetched) -> None:
        """Count one row and pass it on."""
        if fetched.body is not None:
            self._interval.bodies += 1
        elif fetched.failure is not None and fetched.failure.kind.crowding:
            self._interval.failures += 1
        self._pass_on(fetched)

    def look(self, now: float, in_flight: int, ready: int) -> int:
        """The number for now, given the transfers in flight and the bodies that wait for pixels."""
        if self._since is None:
            self._since = now
        limit = self._concurrency.limit
        # Full and starved count if they were so at any look of the interval's second half.
        elapsed = now - self._since
        if elapsed > INTERVAL_S / 2:
            self._interval.full |= in_flight >= limit
            self._interval.starved |= ready < STARVED_BELOW
        if elapsed < INTERVAL_S:
            return limit
        interval, self._interval, self._since = self._interval, Interval(), now
        return self._concurrency.decide(interval, elapsed)

"""How many transfers to have in flight when nobody has said, decided on what the last seconds brought.

``Adapting`` counts, between the loop and whoever takes its rows; ``AdaptiveConcurrency`` decides, a pure
function of the counts. The number rises while the transfers are what the pixels wait for and more of them
bring more; it falls when more of them bring failures, and never leaves its bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from img2dataset.fetching.machine import most_transfers
from img2dataset.fetching.settings import MOST_TRANSFERS
from img2dataset.types import Fetched

INTERVAL_S = 1.5
RISE, FALL = 1.5, 0.7
SMALLEST = 16
# A rise that brought less than this share more was not worth its connections.
WORTHWHILE = 1.05
# Failures of the network beyond those of calmer times by this share of the outcomes: too many at once.
TOO_MANY_FAILURES = 0.15
# After a rise that brought nothing, or a fall, the number stays for so many intervals.
REST_INTERVALS = 8
# Fewer ready bodies than this, and the pixels may have to wait.
STARVED_BELOW = 4


@dataclass(slots=True)
class Interval:
    """What happened since the last decision.

    ``bodies`` and ``failures`` (timeouts, connections, names: what too many connections cause) are counts of
    outcomes; ``full``: as many were in flight as may be; ``starved``: the pixels had nothing ready to work
    on.
    """

    bodies: int = 0
    failures: int = 0
    full: bool = False
    starved: bool = False


class AdaptiveConcurrency:
    """The number of transfers to have in flight, ``limit``, between ``SMALLEST`` and ``largest``.

    Args:
        start: the number to begin with.
        largest: the most it may become.
    """

    def __init__(self, start: int, largest: int = MOST_TRANSFERS) -> None:
        self.limit = start
        self._largest = max(largest, start)
        self._before: tuple[int, float] | None = None  # the number before the last rise, and what it brought
        self._calm_failures: float | None = None
        self._rest = 0

    def decide(self, interval: Interval, seconds: float) -> int:
        """The number for the time to come, after ``seconds`` that brought ``interval``."""
        outcomes = interval.bodies + interval.failures
        rate = interval.bodies / seconds if seconds > 0 else 0.0
        if outcomes:
            share = interval.failures / outcomes
            if self._calm_failures is None:
                self._calm_failures = share
            elif outcomes >= 20 and share > self._calm_failures + TOO_MANY_FAILURES:
                return self._fall()
            else:
                self._calm_failures += (share - self._calm_failures) / 8
        if self._before is not None:
            limit, brought = self._before
            self._before = None
            if rate < brought * WORTHWHILE:
                self.limit, self._rest = limit, REST_INTERVALS
                return self.limit
        if self._rest:
            self._rest -= 1
        elif interval.full and interval.starved and self.limit < self._largest:
            self._before = (self.limit, rate)
            self.limit = min(self._largest, int(self.limit * RISE) + 1)
        return self.limit

    def _fall(self) -> int:
        self._before = None
        self._rest = REST_INTERVALS
        self.limit = max(SMALLEST, int(self.limit * FALL))
        return self.limit


class Adapting:
    """Watches the rows that are delivered, and says how many transfers may be in flight.

    Args:
        start: the number to begin with.
        deliver: takes the rows that pass through ``deliver``.
    """

    def __init__(self, start: int, deliver: Callable[[Fetched], None]) -> None:
        self._concurrency = AdaptiveConcurrency(start, min(MOST_TRANSFERS, max(start, most_transfers())))
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

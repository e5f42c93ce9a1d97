"""The clocks of one transfer: silence, minimum speed. Pure: time comes in as an argument, seconds.

libcurl has such clocks, but in whole seconds and blind to what drips in before a header line is whole;
connecting is the one phase left to its own. Called by the fetcher a few times a second, for every
transfer in flight.
"""

from __future__ import annotations

from img2dataset import failures
from img2dataset.failures import Failure

# The speed is averaged over the latest timeout_s, in this many steps.
STEPS = 4


class TransferClocks:
    """Watches how the count of bytes received grows."""

    __slots__ = ("_count", "_minimum", "_next_step", "_progress", "_steps", "_timeout", "deadline")

    def __init__(self, timeout_s: float, minimum_bytes_per_s: int) -> None:
        self._timeout = timeout_s
        self._minimum = minimum_bytes_per_s * timeout_s
        self.deadline = 0.0
        self.restart()

    def restart(self) -> None:
        """A new request begins; the deadline is the caller's to set."""
        self._count = 0
        self._progress = self._next_step = 0.0
        self._steps: list[int] = []

    def shift(self, seconds: float) -> None:
        """Forget that much time: it was the program that stood still, not the server."""
        self.deadline += seconds
        self._progress += seconds
        self._next_step += seconds

    def check(self, now: float, count: int, sent_at: float | None) -> Failure | None:
        """The failure to end the transfer with, or None.

        Args:
            now: the present.
            count: bytes of headers and body received so far.
            sent_at: when the request went out; None while connecting. Asked for only before the first byte.
        """
        if now >= self.deadline:
            return failures.TIMEOUT_DEADLINE
        if not count:
            silent = sent_at is not None and now - sent_at >= self._timeout
            return failures.TIMEOUT_SILENCE if silent else None
        if count != self._count:
            if not self._count:
                self._steps = [0]
                self._next_step = now + self._timeout / STEPS
            self._count, self._progress = count, now
        elif now - self._progress >= self._timeout:
            return failures.TIMEOUT_SILENCE
        if now >= self._next_step:
            self._next_step = now + self._timeout / STEPS
            self._steps = [*self._steps[-STEPS:], count]
            if len(self._steps) > STEPS and count - self._steps[0] < self._minimum:
                return failures.TIMEOUT_TOO_SLOW
        return None

"""What one host takes, learned from its answers: how many requests at a time, how many a second, or none.

Pure: time comes in as an argument, seconds of one clock; nothing here waits or sends. Used by ``slots``,
one ``HostPace`` a host; ``sharing`` makes those of a run's processes one. ``states`` says what it is for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.hosts.states import (
    ACCEPTED_TO_A_REFUSED,
    CLOSED_S,
    CONNECT_FAILURES,
    ENOUGH_ACCEPTED,
    FASTEST_PER_S,
    LARGE_STEP,
    LARGE_STEP_S,
    LONGEST_BACKOFF_S,
    LONGEST_CLOSED_S,
    RATE_WINDOW_S,
    REMEMBERED_REQUESTS,
    ROUNDS_BEFORE_ANY_ANSWER,
    SHARE,
    SHARED_ROUNDS_BEFORE_ANY_ANSWER,
    SHARED_STEP,
    SHARED_STEP_S,
    SLOWEST_PER_S,
    STEP,
    STEP_S,
    UNUSED_S,
)

# What the processes of a run share of a host (``sharing``); the rest are choices, equal in all of them.
SHARED_FIELDS = (
    "limit",
    "per_s",
    "ceiling",
    "raise_at",
    "next_start",
    "fits_at",
    "cut_at",
    "rounds",
    "pushed_since",
    "connect_failures",
    "closed_until",
    "ever_accepted",
    "accepted",
    "accepted_before_cut",
    "since",
    "burst_since",
    "lately_accepted",
    "lately_refused",
)


class HostPace:
    """What one host takes.

    Args:
        bound: the most connections ever.
        spacing_s: the least time between requests, by the user's wish or that of robots.txt.
        alone: whether no other process of the run asks the host without sharing what it learns.
        bytes_per_s: that may be received; None: any number.
    """

    __slots__ = (
        *SHARED_FIELDS,
        *("bound", "bytes_per_s", "closed_reason", "is_shared", "most_rounds", "spacing_s", "step", "step_s"),
    )

    def __init__(
        self, bound: float, spacing_s: float, alone: bool = True, bytes_per_s: float | None = None
    ) -> None:
        self.step, self.step_s = (STEP, STEP_S) if alone else (SHARED_STEP, SHARED_STEP_S)
        self.most_rounds = ROUNDS_BEFORE_ANY_ANSWER if alone else SHARED_ROUNDS_BEFORE_ANY_ANSWER
        self.bound = bound
        self.limit = bound
        self.spacing_s = spacing_s
        self.bytes_per_s = bytes_per_s
        self.per_s: float | None = None
        # The highest rate that it has taken, and when the rate is next given back by a step.
        self.ceiling = math.inf
        self.raise_at = 0.0
        # When the next request may be sent; and when the pace was last cut: earlier requests are part of
        # that.
        self.next_start = -math.inf
        # When all that has come will have been no more than ``bytes_per_s``: nothing is sent before.
        self.fits_at = -math.inf
        self.cut_at = -math.inf
        # Times in a row that it has pushed back, each after the wait of the one before.
        self.rounds: float = 0
        self.pushed_since = 0.0
        self.connect_failures: float = 0
        self.closed_until = -math.inf
        self.closed_reason: Failure = failures.HOST_UNREACHABLE
        self.ever_accepted = False
        self.accepted = self.accepted_before_cut = 0.0
        # Since when ``accepted`` is counted: the first request, or the end of the latest wait.
        self.since = -1.0
        # Accepted and refused, of about the last thousand.
        self.lately_accepted = self.lately_refused = 0.0
        # Since when the requests of the first burst were sent, while their answers may still come.
        self.burst_since: float | None = None
        # Whether the state is that of all processes of the run.
        self.is_shared = False

    def is_closed(self, now: float) -> bool:
        """Whether nothing is to be asked of this host at this time; ``closed_reason`` is the failure."""
        return now < self.closed_until

    @property
    def due(self) -> float:
        """When the next request may be sent."""
        return max(self.next_start, self.fits_at)

    @property
    def is_probed(self) -> bool:
        """Whether one request at a time is to find out whether the host is back."""
        return bool(self.rounds) or self.connect_failures >= CONNECT_FAILURES

    def is_left_alone(self, now: float) -> bool:
        """Whether the host has pushed back, and the time that it asked for is not over."""
        return bool(self.rounds) and now < self.since

    @property
    def is_slowed_down(self) -> bool:
        """Whether the host gets fewer connections or requests than it might."""
        return self.limit < self.bound or self.per_s is not None

    def allows(self, running: int) -> bool:
        """Whether one more connection may be used beside ``running`` ones."""
        if self.is_probed:
            return running < 1  # one request finds out whether the host is back
        return running < self.limit

    def started(self, now: float) -> None:
        """A request goes out."""
        if self.since < 0:
            self.since = now
        spacing = self.spacing_s
        if self.per_s is not None:
            spacing = max(spacing, 1.0 / self.per_s)
        if spacing:
            self.next_start = max(self.next_start, now + spacing)
        if self.bytes_per_s is not None:
            self.fits_at = max(self.fits_at, now - UNUSED_S)

    def received(self, size: int) -> None:
        """A request has ended that has brought ``size`` bytes."""
        if self.bytes_per_s is not None:
            self.fits_at += size / self.bytes_per_s

    def turn_began(self, at: float) -> None:
        """This member of the run has its turn since ``at``; before it had none, and nothing was asked.

        That time says nothing about the rate that the host takes, nor for how long it has pushed back.
        """
        if 0 <= self.since < at:
            self.since, self.accepted = at, 0.0
        self.pushed_since = max(self.pushed_since, at)

    def accepted_one(self, now: float, started_at: float) -> None:
        """The host answered a request, sent at ``started_at``, with anything but a push back."""
        self.connect_failures = 0
        self.ever_accepted = True
        if started_at < self.cut_at:
            self._accepted_before_cut(now)
            return
        self.rounds = 0
        elapsed = now - self.since
        if elapsed > RATE_WINDOW_S:  # forget the older half, keep the rate
            self.accepted *= RATE_WINDOW_S / 2 / elapsed
            self.since = now - RATE_WINDOW_S / 2
        self.accepted += 1
        self.lately_accepted += 1
        if self.lately_accepted > REMEMBERED_REQUESTS:
            self.lately_accepted, self.lately_refused = self.lately_accepted / 2, self.lately_refused / 2
        if self.limit < self.bound:
            self.limit = min(self.bound, self.limit + 1 / self.limit)
        if self.per_s is not None and now >= self.raise_at:
            self._give_back(now)

    def connect_failed(self, now: float) -> None:
        """The host could not be connected to."""
        self.connect_failures += 1
        if self.connect_failures >= CONNECT_FAILURES:
            self.close(now + CLOSED_S, failures.HOST_UNREACHABLE)

    def overloaded(self, now: float, started_at: float) -> None:
        """503 without Retry-After: often one broken page, so only the connections are halved."""
        self.connect_failures = 0
        if started_at >= self.cut_at:
            self.cut_at = now
            self._halve()

    def pushed_back(
        self, now: float, started_at: float, retry_after_s: float | None, longest_s: float, failure: Failure
    ) -> None:
        """429, or 503 with Retry-After.

        Args:
            now: the present.
            started_at: when the request went out; those sent before the latest cut are part of it.
            retry_after_s: what the host asked to wait.
            longest_s: as ``max_retry_after``.
            failure: what rows fail with if this host is closed.
        """
        self.connect_failures = 0
        if retry_after_s is not None and retry_after_s > longest_s:
            self.close(now + min(retry_after_s, LONGEST_CLOSED_S), failure)
            return
        fresh = started_at >= self.cut_at
        self.lately_refused += 1
        if fresh:
            if not self.rounds:
                self.pushed_since = now
            self.rounds += 1
            self.cut_at = now
            self._halve()
            self._slow_down(now)
        if longest_s == 0 or not (fresh or retry_after_s):
            return
        wait = min(LONGEST_BACKOFF_S, 2.0 ** (self.rounds - 1)) if retry_after_s is None else retry_after_s
        self.next_start = max(self.next_start, now + wait)
        # The accepted rate is measured from when the host is asked again.
        self.since, self.accepted = self.next_start, 0.0
        never_answers = not self.ever_accepted and self.rounds > self.most_rounds
        if self.rounds and (never_answers or self.next_start - self.pushed_since > longest_s):
            self.close(now + CLOSED_S, failure)

    def close(self, until: float, reason: Failure) -> None:
        """Nothing is to be asked of the host before ``until``; its rows fail with ``reason``."""
        self.closed_until, self.closed_reason = until, reason

    def shared_state(self) -> tuple[float | None, ...]:
        """What the processes of a run share, in the order of ``SHARED_FIELDS``."""
        return tuple(getattr(self, name) for name in SHARED_FIELDS)

    def take_over(self, state: Sequence[float], closed_reason: Failure, now: float) -> None:
        """Become what the processes have left behind; the first time, with what this one has seen.

        Args:
            state: as ``shared_state``, with NaN for None.
            closed_reason: what rows fail with while the host is closed.
            now: the present.
        """
        accepted, elapsed = self.accepted, max(now - self.since, 1.0) if self.since >= 0 else math.inf
        ever_accepted, first = self.ever_accepted, not self.is_shared
        for name, value in zip(SHARED_FIELDS, state, strict=True):
            setattr(self, name, None if math.isnan(value) else value)
        self.closed_reason = closed_reason
        self.ever_accepted = bool(self.ever_accepted or ever_accepted)
        if not first or not accepted or self.per_s is None:
            return
        # The host has accepted the requests of both.
        self.accepted_before_cut += accepted
        if self.ceiling < math.inf:
            self.ceiling += accepted / elapsed
            self.per_s += SHARE * accepted / elapsed
        else:
            self._measure_burst(now)

    def _slow_down(self, now: float) -> None:
        """Ask less often, if this refusal says that the rate was too high."""
        rarely = self.lately_accepted >= ACCEPTED_TO_A_REFUSED * self.lately_refused
        if not rarely:
            self._cut(now)
        elif self.per_s is not None:
            # The limit may have been touched: back to a rate that the host has taken.
            self.per_s = min(self.per_s, SHARE * self.ceiling)
            self.raise_at = now + self.step_s

    def _cut(self, now: float) -> None:
        before, self.burst_since = self.per_s, None
        if before is None:
            self.burst_since, self.accepted_before_cut = self.since, self.accepted
        if self.accepted >= ENOUGH_ACCEPTED:
            self.ceiling = self.accepted / max(now - self.since, 1.0)
            self.per_s = SHARE * self.ceiling if before is None else min(SHARE * self.ceiling, 0.8 * before)
        elif before is None:
            self.per_s = 1.0
        elif self.accepted:
            self.ceiling = min(self.ceiling, before)
            self.per_s = before * 0.8
        elif self.rounds > 2:
            self.per_s = before * 0.5
        # else: the first request after the wait came too early, which says nothing about the rate.
        self.per_s = max(self.per_s or 0.0, SLOWEST_PER_S)
        self.raise_at = now + (LARGE_STEP_S if self._is_far_below() else self.step_s)

    def _accepted_before_cut(self, now: float) -> None:
        """A late answer: of many requests sent at once, the refused ones often come back first."""
        if self.burst_since is not None:
            self.accepted_before_cut += 1
            self._measure_burst(now)

    def _measure_burst(self, now: float) -> None:
        """The rate that was accepted before the first push back, as far as its answers have come by now."""
        if self.burst_since is None or self.accepted_before_cut < ENOUGH_ACCEPTED:
            return
        accepted = self.accepted_before_cut / max(now - self.burst_since, 1.0)
        if self.ceiling == math.inf or accepted > self.ceiling:
            self.ceiling = accepted
            self.per_s = max(SHARE * accepted, SLOWEST_PER_S)

    def _halve(self) -> None:
        self.limit = max(1.0, self.limit / 2)

    def _give_back(self, now: float) -> None:
        assert self.per_s is not None
        if self._is_far_below():
            self.per_s *= LARGE_STEP
            self.raise_at = now + LARGE_STEP_S
        else:
            self.per_s *= self.step
            self.raise_at = now + self.step_s
        if self.per_s > FASTEST_PER_S:
            self.per_s, self.ceiling = None, math.inf

    def _is_far_below(self) -> bool:
        """Whether a large step leads to no more than what the host has taken."""
        return self.per_s is not None and self.per_s * LARGE_STEP <= SHARE * self.ceiling

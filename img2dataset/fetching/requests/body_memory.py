"""The memory of bodies: how much is being received or waits for its pixels, and what may start.

A transfer takes a reservation before it starts (an estimate), makes it exact when the headers tell the
length, and turns it into the size of the delivered body at its end; the consumer gives that back. A
transfer never waits for memory while it holds some: if its reservation cannot grow, the row gives
everything back, and starts again when the larger reservation is free. So there is no deadlock: whoever
holds memory is either running, and ends by its deadline, or delivered, and is given back.
"""

from __future__ import annotations

import threading

SMALLEST_RESERVATION = 32 * 1024
# Sizes scatter about their mean, and a row that reserved too little may have to begin again.
HEADROOM = 1.25
# Transfers that start for each body given back while few are ready.
STARTS_WHEN_FEW = 3
# Bodies given back before somebody who waits for that is woken, while enough others are ready.
WAKING_CREDITS = 8


class BodyBudget:
    """Counts bytes and ready bodies. Given back from any thread, everything else on the fetcher's.

    ``_lock`` guards ``_used``, ``_ready``, ``_credits`` and ``_starved``.
    """

    def __init__(self, budget_bytes: int, ready_limit: int, max_body_bytes: int) -> None:
        self._budget = budget_bytes
        self._ready_limit = ready_limit
        self._max_body = max_body_bytes
        self._lock = threading.Lock()
        self._used = 0
        self._ready = 0
        self._credits = 0
        self._starved = False
        # Web images have 140 KB on average; the estimate follows what the list really brings.
        self._mean_size = 128.0 * 1024

    @property
    def used(self) -> int:
        """Bytes reserved, or delivered and not given back."""
        return self._used

    @property
    def ready(self) -> int:
        """Bodies delivered and not given back."""
        return self._ready

    @property
    def is_well_stocked(self) -> bool:
        """Whether the consumer has work for a while: a quarter of ``ready_limit`` is ready."""
        return self._ready * 4 > self._ready_limit

    def usual_reservation(self) -> int:
        """What a transfer of unknown size reserves before it starts, bytes."""
        return min(max(SMALLEST_RESERVATION, int(self._mean_size * HEADROOM)), self._max_body)

    def may_start(self, size: int) -> bool:
        """Reserve ``size`` bytes for a new transfer if memory and the number of ready bodies allow it.

        A body larger than the whole budget gets in when nothing else is held. While no body is ready
        every slot may start. Otherwise one starts for each row that is done with, a few when less than a
        quarter of ``ready_limit`` is ready, none at ``ready_limit``: the level is kept, where free slots
        starting all at once made it swing between 16 and 200.
        """
        with self._lock:
            if (self._ready and self._credits <= 0) or self._ready >= self._ready_limit:
                self._starved = True
                return False
            if self._used and self._used + size > self._budget:
                self._starved = True
                return False
            self._credits = self._credits - 1 if self._ready else 0
            self._used += size
            return True

    def grow(self, held: int, wanted: int) -> bool:
        """Change a running transfer's reservation from ``held`` to ``wanted`` bytes, if there is room."""
        with self._lock:
            others = self._used - held
            if wanted > held and others and others + wanted > self._budget:
                return False
            self._used = others + wanted
            return True

    def cancel(self, held: int) -> None:
        """A transfer ended without a body."""
        with self._lock:
            self._used -= held
            self._credits += 1

    def delivered(self, held: int, size: int) -> None:
        """A transfer's reservation becomes a ready body of ``size`` bytes."""
        self._mean_size += (size - self._mean_size) / 16
        with self._lock:
            self._used += size - held
            self._ready += 1

    def release(self, size: int) -> bool:
        """A ready body of ``size`` bytes has been used up; True if somebody who waited is to be woken."""
        with self._lock:
            self._used -= size
            self._ready -= 1
            stocked = self.is_well_stocked
            if self._ready < self._ready_limit:
                self._credits += 1 if stocked else STARTS_WHEN_FEW
            if not self._starved or (stocked and self._credits < WAKING_CREDITS):
                return False
            self._starved = False
            return True

"""Failed tries that are repeated because it was this machine that failed, or its network, and not the host.

Called by the loop, on its thread. ``network`` decides what the network's failures are; here is what the
machine is asked: whether there is a route, whether it slept, and how many transfers it has the means for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.machine import has_route, most_transfers, seconds_slept
from img2dataset.fetching.requests.network import Network
from img2dataset.fetching.requests.tries import Tries
from img2dataset.fetching.requests.waiting_rows import Job

logger = logging.getLogger("img2dataset")
LOOK_INTERVAL_S = 1.0
# Longer than any wait that nobody asked for, on a machine that is busy.
STOOD_STILL_S = 2.0
# How long a row waits for descriptors, memory or ports before that is its failure.
LONGEST_WANT_S = 120.0
WANT_DELAY_S = 0.5
# Without a want for so long, a few more transfers are tried.
CALM_S = 5.0
# Asked for a route to, and never sent anything (RFC 5737).
ANYWHERE = "192.0.2.1"


class Holding:
    """Holds tries back, and repeats them.

    Args:
        patience_s: see ``Network``.
        tries: by which jobs begin again.
        name_servers: gives the addresses of those that are asked.
    """

    def __init__(self, patience_s: float, tries: Tries, name_servers: Callable[[], list[str]]) -> None:
        self._name_servers = name_servers
        self._network = Network(patience_s)
        self._patience_s = patience_s
        self._tries = tries
        self._address: str | None = None
        self._most = most_transfers()
        self._cap = self._most
        self._want_at = self._cut_at = float("-inf")
        self._next_look = 0.0
        self._slept = seconds_slept()
        self._told: set[str] = set()

    @property
    def most_transfers(self) -> int:
        """The transfers that the machine has the means for."""
        return self._cap

    def next_due(self, now: float) -> float:
        """When ``look`` has something to do."""
        return self._next_look if self._network.is_waited_for else now + LOOK_INTERVAL_S

    def may_begin(self, now: float) -> bool:
        """Whether a try may begin now."""
        return self._network.may_begin(now)

    def answered(self, job: Job, address: str, now: float) -> None:
        """Something has come from the host of ``job``, whose address it is."""
        self._network.answered(job.host, now)
        self._address = address or self._address

    def names_answered(self, now: float) -> None:
        """A name server has answered."""
        self._network.names_answered(now)

    def look(self, now: float, overslept_s: float) -> bool:
        """See whether there is a network, about once a second. True if time was lost.

        Args:
            now: the present.
            overslept_s: how much longer the latest wait was than asked for.
        """
        slept, before = seconds_slept(), self._slept
        self._slept = slept
        lost = overslept_s > STOOD_STILL_S or slept - before > STOOD_STILL_S
        if lost:
            self._network.stood_still(now)
        if now >= self._next_look:
            self._next_look = now + LOOK_INTERVAL_S
            asked = self._name_servers() if self._address is None else [self._address]
            if asked and self._patience_s:
                self._network.has_route(any(map(has_route, asked)), now)
                self._tell_of_network()
            if self._cap < self._most and now - self._want_at > CALM_S:
                self._cap = min(self._most, self._cap + max(1, self._cap // 16))
        return lost

    def holds(self, job: Job, failure: Failure, started_at: float, in_flight: int) -> bool:
        """Whether ``job``, whose try has failed, is put back to be tried again."""
        now = time.monotonic()
        if failure == failures.OUT_OF_MEANS:
            held = job.held_since is None or now - job.held_since < LONGEST_WANT_S
            self._have_fewer(in_flight, now)
        else:
            has_way = failure != failures.CONNECTION_UNREACHABLE or has_route(self._address or ANYWHERE)
            held = self._network.holds(job.host, failure, started_at, job.held_since, has_way, now)
            self._tell_of_network()
        if held:
            job.held_since = now if job.held_since is None else job.held_since
            self._tries.put_back(job, now + WANT_DELAY_S)
        return held

    def _have_fewer(self, in_flight: int, now: float) -> None:
        self._want_at = now
        if now - self._cut_at > WANT_DELAY_S:
            self._cut_at = now
            self._cap = max(1, min(self._cap, in_flight) * 3 // 4)
        self._tell_once(
            "this machine is out of descriptors, memory or ports; fewer downloads are made at a time"
        )

    def _tell_of_network(self) -> None:
        if self._network.is_given_up:
            self._tell_once(
                "the network has not come back within network_patience; rows fail until something answers"
            )
        elif self._network.is_waited_for:
            self._tell_once(
                "the network or all name servers cannot be reached; waiting up to"
                f" {self._patience_s:.0f} s (network_patience), no row fails by it"
            )

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning(text)

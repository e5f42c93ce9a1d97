"""Tries that fail because of this machine or its network, and not of the host: they are repeated.

A try that failed while the network was away says nothing about its host: it is repeated, which is no retry,
and until something answers only one try a second is sent. So is one for which this machine lacked
descriptors, memory or ports. ``Network`` judges by how tries end, and is pure; ``OwnFailures`` asks the
machine what it has (a route, time slept, descriptors) and is called by the loop, on its thread.

The network is away if there is no route to what has answered before, if no name server can be reached, or if
several hosts cannot be reached, with nothing answered since the first of them: any hosts where this machine
has no way out, else some that have answered before. Names that do not exist and hosts that refuse or are
silent are no evidence: a list may have nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from img2dataset import failures
from img2dataset.failures import Failure, OfNetwork
from img2dataset.fetching.machine import has_route, most_transfers, seconds_slept
from img2dataset.fetching.requests.ledger import Download

logger = logging.getLogger("img2dataset")

# So many hosts that cannot be reached are the network's absence.
ENOUGH_HOSTS = 3
# Seconds for which a try is repeated while fewer hosts than that cannot be reached.
LONGEST_SUSPICION_S = 3.0
REMEMBERED_HOSTS = 1000
TRY_INTERVAL_S = 1.0
# A network that wakes with its machine needs a moment.
WAKING_S = 1.0
LOOK_INTERVAL_S = 1.0
# Longer than any wait that nobody asked for, on a machine that is busy.
STOOD_STILL_S = 2.0
# How long a row waits for descriptors, memory or ports before that is its failure.
LONGEST_SHORTAGE_S = 120.0
# When a failed try is repeated.
REPEAT_AFTER_S = 0.5
# Seconds after the latest shortage, from which on the number of transfers is raised again, once a second.
CALM_S = 5.0
# Asked for a route to, and never sent anything (RFC 5737).
ANYWHERE = "192.0.2.1"


class Network:
    """Whether the network is there, as far as tries have shown.

    Args:
        patience_s: how long it is waited for, in all, before rows fail by its absence; a second that it is
            there gives a second back. 0: not at all.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = self._patience_left_s = patience_s
        self._suspected: set[str] = set()
        self._answering: dict[str, None] = {}
        # Since when it is away, and whether it is waited for no more.
        self.away_since: float | None = None
        self.is_given_up = False
        # What showed that it is away: unreachable name servers, or a missing route.
        self._is_away_by_names = self._is_away_by_route = False
        # Tries that began before this were under way when the network was away, or the machine slept.
        self._disrupted_until = float("-inf")
        self._back_at = 0.0
        self._next_try = 0.0

    @property
    def is_waited_for(self) -> bool:
        return self.away_since is not None and not self.is_given_up

    def may_begin(self, now: float) -> bool:
        """Whether a try may begin: any, or now and then one that finds out."""
        if not self.is_waited_for:
            return True
        if now < self._next_try:
            return False
        self._next_try = now + TRY_INTERVAL_S
        return True

    def answered(self, host: str, now: float) -> None:
        """Something has come from a host."""
        self._suspected.clear()
        if host not in self._answering:
            self._answering[host] = None
            if len(self._answering) > REMEMBERED_HOSTS:
                del self._answering[next(iter(self._answering))]
        if self.away_since is not None:
            self._is_back(now)

    def names_answered(self, now: float) -> None:
        """A name server has answered, whatever it said."""
        if self.away_since is not None and self._is_away_by_names:
            self._is_back(now)

    def has_route(self, has: bool, now: float) -> None:
        """Whether there is a route to the address that answered last."""
        if not has:
            if self.away_since is None:
                self._is_away(now)
            self._is_away_by_route = True
        elif self._is_away_by_route:
            self._is_back(now)

    def stood_still(self, now: float) -> None:
        """The machine slept, or the program was stopped, until now."""
        self._disrupted_until = now + WAKING_S

    def explains(
        self,
        host: str,
        failure: Failure,
        started_at: float,
        repeated_since: float | None,
        has_way: bool,
        now: float,
    ) -> bool:
        """Whether a try that failed says nothing about its row, which is to be tried again soon.

        Args:
            host: what was asked.
            failure: of the try.
            started_at: when the try began.
            repeated_since: when a try of the row was first repeated; None: this would be the first time.
            has_way: whether this machine has a way out at all, as far as it knows.
            now: the present.
        """
        if failure.kind.network is OfNetwork.NOTHING or not self._patience_s:
            return False
        repeating_s = 0.0 if repeated_since is None else now - repeated_since
        if self.away_since is None:
            if started_at <= self._disrupted_until:
                return repeating_s <= self._patience_s
            if failure.kind.network is not OfNetwork.NO_WAY or repeating_s > self._patience_s:
                return False
            self._is_away_by_names = failure == failures.DNS_UNREACHABLE
            if not self._is_away_by_names and not self._is_certain(host, has_way):
                return repeating_s < LONGEST_SUSPICION_S and (not has_way or host in self._answering)
            self._is_away(now)
        if now - (self.away_since or now) > self._patience_left_s:
            self.is_given_up = True
        return not self.is_given_up

    def _is_certain(self, host: str, has_way: bool) -> bool:
        self._suspected.add(host)
        if not has_way:
            return host in self._answering or len(self._suspected) >= ENOUGH_HOSTS
        have_answered = len(self._suspected & self._answering.keys())
        return have_answered >= max(1, min(ENOUGH_HOSTS, len(self._answering)))

    def _is_away(self, now: float) -> None:
        self._patience_left_s = min(self._patience_s, self._patience_left_s + now - self._back_at)
        self.away_since = now
        self._next_try = now + TRY_INTERVAL_S

    def _is_back(self, now: float) -> None:
        assert self.away_since is not None
        self._patience_left_s = max(0.0, self._patience_left_s - (now - self.away_since))
        self.away_since, self.is_given_up = None, False
        self._is_away_by_names = self._is_away_by_route = False
        self._suspected.clear()
        self._disrupted_until = self._back_at = now


class OwnFailures:
    """Finds out which failures of tries are those of this machine or its network.

    Args:
        patience_s: see ``Network``.
        name_servers: gives the addresses of those that are asked.
    """

    def __init__(self, patience_s: float, name_servers: Callable[[], list[str]]) -> None:
        self._name_servers = name_servers
        self._network = Network(patience_s)
        self._patience_s = patience_s
        self._address: str | None = None
        self._most = most_transfers()
        self._limit = self._most
        self._shortage_at = self._cut_at = float("-inf")
        self._next_look = 0.0
        self._slept = seconds_slept()
        self._told: set[str] = set()

    @property
    def most_transfers(self) -> int:
        """The transfers that there are descriptors, memory and ports for, as far as is known."""
        return self._limit

    def next_due(self, now: float) -> float:
        """When ``look`` has something to do."""
        return self._next_look if self._network.is_waited_for else now + LOOK_INTERVAL_S

    def may_begin(self, now: float) -> bool:
        """Whether a try may begin now."""
        return self._network.may_begin(now)

    def answered(self, download: Download, address: str, now: float) -> None:
        """Something has come from the host of ``download``, whose address it is."""
        self._network.answered(download.host, now)
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
            if self._limit < self._most and now - self._shortage_at > CALM_S:
                self._limit = min(self._most, self._limit + max(1, self._limit // 16))
        return lost

    def explain(self, download: Download, failure: Failure, started_at: float, in_flight: int) -> bool:
        """Whether a try of ``download`` failed by this machine or its network, so that it is repeated."""
        now, since = time.monotonic(), download.repeated_since
        if failure == failures.OUT_OF_RESOURCES:
            explained = since is None or now - since < LONGEST_SHORTAGE_S
            self._have_fewer(in_flight, now)
        else:
            has_way = failure != failures.CONNECTION_UNREACHABLE or has_route(self._address or ANYWHERE)
            explained = self._network.explains(download.host, failure, started_at, since, has_way, now)
            self._tell_of_network()
        if explained and since is None:
            download.repeated_since = now
        return explained

    def _have_fewer(self, in_flight: int, now: float) -> None:
        self._shortage_at = now
        if now - self._cut_at > REPEAT_AFTER_S:
            self._cut_at = now
            self._limit = max(1, min(self._limit, in_flight) * 3 // 4)
        self._tell_once(
            "this machine is out of descriptors, memory or ports; fewer downloads are made at a time"
        )

    def _tell_of_network(self) -> None:
        if self._network.is_given_up:
            self._tell_once(
                "the network has not come back within --network_patience; rows fail until something answers"
            )
        elif self._network.is_waited_for:
            self._tell_once(
                "the network or all name servers cannot be reached; waiting up to"
                f" {self._patience_s:.0f} s (--network_patience), no row fails by it"
            )

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning(text)

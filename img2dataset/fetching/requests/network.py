"""Whether this machine reaches anything at all, judged by how tries end. Pure: time comes in as an argument.

A try that failed while the network was away says nothing about its host: it is repeated, which is no retry,
and until something answers only one try a second goes out. Called by ``repeats``, on the fetcher's thread.

The network is away if there is no route to what has answered before, if no name server can be reached, or if
several hosts cannot be reached, with nothing answered since the first of them: any hosts where this machine
has no way out, else some that have answered before. Names that do not exist and hosts that refuse or are
silent are no evidence: a list may have nothing else.
"""

from __future__ import annotations

from img2dataset import failures
from img2dataset.failures import Failure, OfNetwork

ENOUGH_HOSTS = 3
# Until there are so many, a failure waits for what becomes of the others.
LONGEST_SUSPICION_S = 3.0
REMEMBERED_HOSTS = 1000
TRY_INTERVAL_S = 1.0
# A network that wakes with its machine needs a moment.
WAKING_S = 1.0


class Network:
    """What is known of the network.

    Args:
        patience_s: how long it is waited for, in all, before rows fail by its absence; a second that it is
            there gives a second back. 0: not at all.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = self._left_s = patience_s
        self._suspected: set[str] = set()
        self._good: dict[str, None] = {}
        # Since when it is away, and whether it is waited for no more.
        self.away_since: float | None = None
        self.is_given_up = False
        self._is_names = self._is_route = False
        # Tries that began before this were under way when the network was away.
        self._shaken_until = float("-inf")
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
        if host not in self._good:
            self._good[host] = None
            if len(self._good) > REMEMBERED_HOSTS:
                del self._good[next(iter(self._good))]
        if self.away_since is not None:
            self._is_back(now)

    def names_answered(self, now: float) -> None:
        """A name server has answered, whatever it said."""
        if self.away_since is not None and self._is_names:
            self._is_back(now)

    def has_route(self, has: bool, now: float) -> None:
        """Whether there is a route to the address that answered last."""
        if not has:
            if self.away_since is None:
                self._is_away(now)
            self._is_route = True
        elif self._is_route:
            self._is_back(now)

    def stood_still(self, now: float) -> None:
        """The machine slept, or the program was stopped, until now."""
        self._shaken_until = now + WAKING_S

    def holds(
        self,
        host: str,
        failure: Failure,
        started_at: float,
        held_since: float | None,
        has_way: bool,
        now: float,
    ) -> bool:
        """Whether a try that failed says nothing about its row, which is to be tried again soon.

        Args:
            host: what was asked.
            failure: of the try.
            started_at: when the try began.
            held_since: when a try of the row was first held; None: this is the first.
            has_way: whether this machine has a way out at all, as far as it knows.
            now: the present.
        """
        if failure.kind.network is OfNetwork.NOTHING or not self._patience_s:
            return False
        held_s = 0.0 if held_since is None else now - held_since
        if self.away_since is None:
            if started_at <= self._shaken_until:
                return held_s <= self._patience_s
            if failure.kind.network is not OfNetwork.NO_WAY or held_s > self._patience_s:
                return False
            self._is_names = failure == failures.DNS_UNREACHABLE
            if not self._is_names and not self._is_certain(host, has_way):
                return held_s < LONGEST_SUSPICION_S and (not has_way or host in self._good)
            self._is_away(now)
        if now - (self.away_since or now) > self._left_s:
            self.is_given_up = True
        return not self.is_given_up

    def _is_certain(self, host: str, has_way: bool) -> bool:
        self._suspected.add(host)
        if not has_way:
            return host in self._good or len(self._suspected) >= ENOUGH_HOSTS
        known = len(self._suspected & self._good.keys())
        return known >= max(1, min(ENOUGH_HOSTS, len(self._good)))

    def _is_away(self, now: float) -> None:
        self._left_s = min(self._patience_s, self._left_s + now - self._back_at)
        self.away_since = now
        self._next_try = now + TRY_INTERVAL_S

    def _is_back(self, now: float) -> None:
        assert self.away_since is not None
        self._left_s = max(0.0, self._left_s - (now - self.away_since))
        self.away_since, self.is_given_up = None, False
        self._is_names = self._is_route = False
        self._suspected.clear()
        self._shaken_until = self._back_at = now

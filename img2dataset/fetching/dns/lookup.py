"""One host that is being asked for: what has been answered, and what follows from it. Pure.

Called by ``resolver``, which asks and keeps the time.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from img2dataset import failures
from img2dataset.fetching.dns.name_cache import Resolved
from img2dataset.fetching.dns.name_servers import IPV4, IPV6, Records

# When a question is asked again while its earlier askings are still out, seconds after the first. The list
# waits for the few names that were lost again and again: asked again six times instead of eleven, 20 000 of
# a bad server took 11 s instead of 6, and 4 of them were not found instead of none or one.
ROUNDS_S = (0.3, 0.7, 1.0, 1.3, 1.7, 2.1, 2.6, 3.2, 4.0, 5.0, 6.5)
# Servers that say five times within 1.3 s that they cannot tell will not.
MOST_REFUSALS = 5

Waiting = TypeVar("Waiting")
# ``soon``: addresses of one family are there, those of the other may take a moment more.
Next = Literal["wait", "soon", "settled", "next candidate", "other family"]


class Question(Generic[Waiting]):
    """The askings for one host; ``resolved`` is set once at the end.

    Args:
        host: in lower case.
        candidates: the full names to try in order, at least one.
        kinds: the records to ask for.
        deadline: when it has failed, on the monotonic clock.
    """

    __slots__ = (
        "_found",
        "_refusals",
        "_temporary",
        "_unreachable",
        "_usual_kinds",
        "begun",
        "candidates",
        "deadline",
        "host",
        "kinds",
        "number",
        "out",
        "resolved",
        "round",
        "ttl_s",
        "waiting",
    )

    def __init__(
        self, host: str, candidates: tuple[str, ...], kinds: tuple[str, ...], deadline: float
    ) -> None:
        self.host = host
        self.candidates = list(candidates)
        self.kinds = self._usual_kinds = kinds
        self.deadline = deadline
        self.waiting: list[Waiting] = []
        self.resolved: Resolved | None = None
        self.begun = False
        # Grows with each candidate, so that late answers about an earlier one are told apart.
        self.number = 0
        self._temporary = self._unreachable = False
        self.ttl_s = float("inf")
        self._begin_candidate()

    @property
    def name(self) -> str:
        """The full name that is being asked for."""
        return self.candidates[0]

    @property
    def missing(self) -> list[str]:
        """The kinds of records that are still to come."""
        return [kind for kind in self.kinds if kind not in self._found]

    @property
    def has_addresses(self) -> bool:
        return any(self._found.values())

    def take(self, kind: str, records: Records) -> Next:
        """Note an answer about the present candidate, and say what follows."""
        if self.resolved is not None or kind in self._found:
            return "wait"
        if records.failure == failures.DNS_NOT_FOUND and kind == IPV4 and not self.has_addresses:
            return self._next_candidate()
        if records.failure is None or records.failure == failures.DNS_NOT_FOUND:
            # Some servers deny a name altogether when asked for its IPv6 addresses (RFC 4074).
            return self._take_addresses(kind, records)
        self._unreachable = records.failure == failures.DNS_UNREACHABLE
        if records.failure == failures.DNS_TEMPORARY:
            self._temporary = True
            self._refusals += 1
        over = self._refusals >= MOST_REFUSALS * len(self.kinds)
        if over or (not self.out and self.round >= len(ROUNDS_S)):
            self.give_up()
            return "settled"
        return "wait"

    def give_up(self) -> None:
        """No more is to be had: end with what there is."""
        if self.has_addresses:
            self.end_found()
        else:
            if self._temporary:
                failure = failures.DNS_TEMPORARY
            else:
                failure = failures.DNS_UNREACHABLE if self._unreachable else failures.DNS_TIMEOUT
            self.resolved = Resolved((), failure)

    def end_found(self) -> None:
        """End with the addresses that have come."""
        found = [address for kind in self.kinds for address in self._found.get(kind, ())]
        self.resolved = Resolved(tuple(dict.fromkeys(found)))

    def _take_addresses(self, kind: str, records: Records) -> Next:
        self._found[kind] = records.addresses
        if records.addresses:
            self.ttl_s = min(self.ttl_s, records.ttl_s)
        if self.missing:
            return "soon" if self.has_addresses else "wait"
        if self.has_addresses:
            self.end_found()
            return "settled"
        if IPV6 in self.kinds:
            return self._next_candidate()
        # No IPv4 address: now the others are worth asking for, wherever this machine is.
        self.kinds = (IPV6, IPV4)
        self.round = 0
        return "other family"

    def _next_candidate(self) -> Next:
        if len(self.candidates) == 1:
            self.resolved = Resolved((), failures.DNS_NOT_FOUND)
            return "settled"
        del self.candidates[0]
        self._begin_candidate()
        return "next candidate"

    def _begin_candidate(self) -> None:
        self.kinds = self._usual_kinds
        self.number += 1
        self.round = self.out = self._refusals = 0
        self._found: dict[str, tuple[str, ...]] = {}
        self.ttl_s = float("inf")

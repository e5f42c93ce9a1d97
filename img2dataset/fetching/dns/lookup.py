"""One host that is being asked for (``Question``), and the answers that are kept (``NameCache``). Pure.

A question notes what name servers have answered and says what follows; the cache keeps addresses for their
time to live and failures for a moment. Called by ``resolver``, which asks and keeps the time.
"""

from __future__ import annotations

from typing import Generic, Literal, NamedTuple, TypeVar

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.dns.name_servers import IPV4, IPV6, Records

# When a question is asked again while its earlier askings are still out, seconds after the first. The list
# waits for the few names that were lost again and again: asked again six times instead of eleven, 20 000 of
# a bad server took 11 s instead of 6, and 4 of them were not found instead of none or one.
ROUNDS_S = (0.3, 0.7, 1.0, 1.3, 1.7, 2.1, 2.6, 3.2, 4.0, 5.0, 6.5)
# Servers that say five times within 1.3 s that they cannot tell will not.
MOST_REFUSALS = 5
# Some 400 bytes each; an entry too many costs one question.
REMEMBERED_NAMES = 20_000
# A failure is kept that long, and twice as long each time it is met again (RFC 9520 asks for 1 s to 5 min).
FAILURE_TTL_S, LONGEST_FAILURE_TTL_S = 1.0, 60.0

Waiting = TypeVar("Waiting")
# ``soon``: addresses of one family are there, those of the other may take a moment more.
Next = Literal["wait", "soon", "ended", "next candidate", "other family"]


class Resolved(NamedTuple):
    """The addresses of a host, or why there are none."""

    addresses: tuple[str, ...]
    failure: Failure | None = None


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
            return "ended"
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
            return "ended"
        if IPV6 in self.kinds:
            return self._next_candidate()
        # No IPv4 address: now the others are worth asking for, wherever this machine is.
        self.kinds = (IPV6, IPV4)
        self.round = 0
        return "other family"

    def _next_candidate(self) -> Next:
        if len(self.candidates) == 1:
            self.resolved = Resolved((), failures.DNS_NOT_FOUND)
            return "ended"
        del self.candidates[0]
        self._begin_candidate()
        return "next candidate"

    def _begin_candidate(self) -> None:
        self.kinds = self._usual_kinds
        self.number += 1
        self.round = self.out = self._refusals = 0
        self._found: dict[str, tuple[str, ...]] = {}
        self.ttl_s = float("inf")


class _Cached(NamedTuple):
    resolved: Resolved
    until: float
    failed: int


class NameCache:
    """Answers by name; those longest unused are dropped first.

    Args:
        min_ttl_s: addresses are kept at least that long, seconds.
        max_ttl_s: addresses are kept at most that long, and so is that a name does not exist.
        limit: names kept.
    """

    def __init__(self, min_ttl_s: float, max_ttl_s: float, limit: int = REMEMBERED_NAMES) -> None:
        self._min_ttl_s = min_ttl_s
        self._max_ttl_s = max_ttl_s
        self._limit = limit
        self._entries: dict[str, _Cached] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, now: float) -> Resolved | None:
        """The answer for ``name``, if one is kept and still holds."""
        cached = self._entries.pop(name, None)
        if cached is None:
            return None
        self._entries[name] = cached
        return cached.resolved if now < cached.until else None

    def put(self, name: str, resolved: Resolved, ttl_s: float, now: float) -> None:
        """Keep an answer; ``ttl_s`` is what the name server said of addresses."""
        former = self._entries.pop(name, None)
        if resolved.failure == failures.DNS_UNREACHABLE:
            return  # nobody has said anything of the name
        count = 0
        if resolved.failure is None:
            kept_s = min(max(ttl_s, self._min_ttl_s), self._max_ttl_s)
        elif resolved.failure == failures.DNS_NOT_FOUND:
            kept_s = self._max_ttl_s
        else:
            count = former.failed + 1 if former else 1
            kept_s = min(FAILURE_TTL_S * 2.0 ** min(count - 1, 10), LONGEST_FAILURE_TTL_S)
        self._entries[name] = _Cached(resolved, now + kept_s, count)
        if len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]

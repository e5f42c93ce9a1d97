"""What is known of names: addresses for their time to live, failures for a moment. Bounded; pure.

Called by ``resolver``; time comes in as an argument, seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from img2dataset import failures
from img2dataset.failures import Failure

# Some 400 bytes each; an entry too many costs one question.
REMEMBERED_NAMES = 20_000
# A failure is kept that long, and twice as long each time it is met again (RFC 9520 asks for 1 s to 5 min).
FAILURE_TTL_S, LONGEST_FAILURE_TTL_S = 1.0, 60.0


class Resolved(NamedTuple):
    """The addresses of a host, or why there are none."""

    addresses: tuple[str, ...]
    failure: Failure | None = None


class _Known(NamedTuple):
    resolved: Resolved
    until: float
    failures: int


class KnownNames:
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
        self._known: dict[str, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str, now: float) -> Resolved | None:
        """What is known of ``name``."""
        known = self._known.pop(name, None)
        if known is None:
            return None
        self._known[name] = known
        return known.resolved if now < known.until else None

    def put(self, name: str, resolved: Resolved, ttl_s: float, now: float) -> None:
        """Keep an answer; ``ttl_s`` is what the name server said of addresses."""
        former = self._known.pop(name, None)
        if resolved.failure == failures.DNS_UNREACHABLE:
            return  # nobody has said anything of the name
        count = 0
        if resolved.failure is None:
            kept_s = min(max(ttl_s, self._min_ttl_s), self._max_ttl_s)
        elif resolved.failure == failures.DNS_NOT_FOUND:
            kept_s = self._max_ttl_s
        else:
            count = former.failures + 1 if former else 1
            kept_s = min(FAILURE_TTL_S * 2.0 ** min(count - 1, 10), LONGEST_FAILURE_TTL_S)
        self._known[name] = _Known(resolved, now + kept_s, count)
        if len(self._known) > self._limit:
            del self._known[next(iter(self._known))]

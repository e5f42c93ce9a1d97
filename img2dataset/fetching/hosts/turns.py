"""What one member of a run may ask one host for, and when: its part of the bounds that are the run's.

A run of several machines has a member on each. They do not talk to each other: each reckons from the host's
name, the number of members and its own what is its part, so that all parts together are the bound. Pure;
Unix time comes in as an argument. Used by ``slots``, one ``MemberShare`` a host.

Connections. With at least as many as members each has its part for the whole run, and the rest goes to the
first ones, counted from another member for each host. With fewer, members take turns by the clock: a turn
belongs to as many members as there are connections, each has one, and every member has its turn in each
round of ``members / connections`` turns. What still runs when its turn ends is ended, closed, and begun
again first thing in the member's next turn, as if it had not been tried. A turn is as long as the deadline
of a download, the guard and a second: so what begins with a turn ends in it, by itself or by its deadline,
and no row waits for ever. The guard at the end of a turn is for clocks that differ, ``CLOCK_DIFFERENCE_S``
from member to member at most, and for ending what runs.

What that costs of a host's connections, at the usual deadline of 60 s: the guard and the last second in
which nothing begins, 3.5 of 63.5 s, 6 %; one request of a turn that is made again; and a new connection
for each request, since an idle one counts as one. A row waits for its member's turn, up to 63.5 s times
members / connections: 53 minutes for 100 members and two connections, two turns for the usual 32. A shorter
deadline makes shorter turns.

Requests a second. As many members at once as there are whole requests a second, each with a whole number of
them: 20 a second are 5 for each of four members. Where that is fewer than there are (members, or those whose
turn it is), they take turns in the same way: of 100 members and 20 a second 20 at once, one a second each;
below two a second one at a time. Before a turn ends nothing begins for the guard and as long as lies between
two requests, one second at least where they are several; and where that is longer than a turn, one request
goes out in each second or third turn. So the rate of the run holds in each second of the host's clock. It
costs the same 6 %, 5 % to spare and the fraction of the rate where several share it, and what no more fits
into a turn: a request in 10 s is six in 63.5 s.

Bytes a second are divided evenly among the members that have a turn at once. What one has received beyond its
part when its turn ends is made up for by the seconds between turns.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from img2dataset.fetching.hosts.states import (
    CLOCK_DIFFERENCE_S,
    LATENESS_S,
    LEAST_REST_S,
    LONGEST_TURN_DEADLINE_S,
)

GUARD_S = CLOCK_DIFFERENCE_S + LATENESS_S
# Where several have a part of a rate, each keeps a little more distance: a request that is late on its way
# comes nearer to the next one of its member, and each of them may have one.
SPARE = 1.05
# Seconds at the beginning of a turn in which a request that has a whole turn for itself may go out.
_SHORTEST_BEGINNING_S = 2.0


def turn_length(deadline_s: float) -> float:
    """Seconds of a turn, for downloads that may take ``deadline_s``."""
    return min(deadline_s, LONGEST_TURN_DEADLINE_S) + LEAST_REST_S + GUARD_S


def rank_of(host: str, member: int, members: int) -> int:
    """The place of a member among all, for one host: other hosts have others first."""
    return (member + zlib.crc32(host.encode())) % members


def connections_of(bound: int, rank: int, members: int) -> int:
    """How many of a host's ``bound`` connections the member of this rank has, while it has its turn."""
    return max(1, len(range(rank, bound, members)))


class MemberShare:
    """The part of one member in one host.

    Args:
        host: its name.
        member: which one this is, 0 to ``members`` - 1.
        members: how many the run has.
        bound: connections that the run may have to it; None: any number.
        per_s: requests a second that the run may send to it; None: any number.
        turn_s: as ``turn_length``; the same for all members.
    """

    __slots__ = (
        "_at_once",
        "_bound",
        "_latest_s",
        "_members",
        "_per_s",
        "_phase_s",
        "_rank",
        "_rate_at_once",
        "_rate_every",
        "_turn_s",
        "_turns",
    )

    def __init__(
        self, host: str, member: int, members: int, bound: int | None, per_s: float | None, turn_s: float
    ) -> None:
        self._rank = rank_of(host, member, members)
        self._members = members
        self._bound = bound
        # How many members have their turn at once, and in how many turns all have had theirs.
        self._at_once = members if bound is None else min(members, bound)
        self._turns = math.ceil(members / self._at_once)
        self._turn_s = turn_s
        # The turns of hosts do not begin at the same moment.
        self._phase_s = turn_s * (zlib.crc32(host.encode()) >> 12) / 2**20
        self._set_rate(per_s)

    @property
    def has_ends(self) -> bool:
        """Whether no request may go on when a turn ends, and no connection may be kept."""
        return self._turns > 1

    @property
    def is_limited(self) -> bool:
        """Whether the host is asked for only so many requests a second."""
        return self._per_s is not None

    def part_of(self, per_s: float) -> float:
        """What this member has of something that the run may have so much of a second, in its turn."""
        return per_s / self._at_once

    @property
    def connections(self) -> int | None:
        """How many this member may have, while it has its turn; None: any number."""
        return None if self._bound is None else connections_of(self._bound, self._rank, self._members)

    def slots(self, unix_s: float) -> Sequence[int]:
        """The numbers of these connections among those of the run; no other member has them now."""
        assert self._bound is not None
        if not self.has_ends:
            return range(self._rank, self._bound, self._members)
        slot = self._slot_in(self._turn(unix_s)[0])
        return () if slot is None else (slot,)

    def opens_in(self, unix_s: float) -> float:
        """Seconds until a request may begin; 0: now."""
        if self._latest_s == math.inf:
            return 0.0
        turn, passed_s = self._turn(unix_s)
        if passed_s < self._latest_s and self._has(turn):
            return 0.0
        return (self._next_turn(turn + 1) - turn) * self._turn_s - passed_s

    def passed_s(self, unix_s: float) -> float:
        """Seconds since the turn began; there are none where no turns are taken."""
        return math.inf if self._latest_s == math.inf else self._turn(unix_s)[1]

    def ends_in(self, unix_s: float) -> float:
        """Seconds until what has begun in this turn has to have ended; infinite where turns have no ends."""
        if not self.has_ends:
            return math.inf
        return self._turn_s - GUARD_S - self._turn(unix_s)[1]

    def spacing_s(self, unix_s: float) -> float:
        """The least time between two requests of this member in this turn."""
        if self._per_s is None:
            return 0.0
        if self._rate_at_once == 1:
            return 1.0 / self._per_s
        turn, _ = self._turn(unix_s)
        slot = self._slot_in(turn)
        place = None if slot is None else self._place_in(turn, slot)
        parts, rest = divmod(int(self._per_s), self._rate_at_once)
        return SPARE / (parts + (place is not None and place < rest))

    def space(self, spacing_s: float) -> None:
        """Let the run ask no more often than each ``spacing_s``."""
        if spacing_s > 0 and (self._per_s is None or 1.0 / spacing_s < self._per_s):
            self._set_rate(1.0 / spacing_s)

    def _set_rate(self, per_s: float | None) -> None:
        self._per_s = per_s
        # Of those that have their turn, how many send requests; and in which turns: each, each second …
        self._rate_at_once, self._rate_every = self._at_once, 1
        self._latest_s = self._turn_s - GUARD_S - LEAST_REST_S if self.has_ends else math.inf
        if per_s is None:
            return
        self._rate_at_once = max(1, min(self._at_once, int(per_s)))
        if self._rate_at_once == self._members:
            return
        quiet_s = 1.0 if self._rate_at_once > 1 else 1.0 / per_s
        self._rate_every = max(1, math.ceil((quiet_s + GUARD_S + _SHORTEST_BEGINNING_S) / self._turn_s))
        while math.gcd(self._rate_every, self._turns) > 1:
            self._rate_every += 1
        self._latest_s = min(self._latest_s, self._rate_every * self._turn_s - GUARD_S - quiet_s)

    def _turn(self, unix_s: float) -> tuple[int, float]:
        """The number of the present turn, and the seconds since it began."""
        number, passed_s = divmod(unix_s + self._phase_s, self._turn_s)
        return int(number), passed_s

    def _slots_of(self) -> tuple[tuple[int, int], ...]:
        """In which turn of each round this member has which connection: one, and perhaps one left over."""
        ranks = (self._rank, self._rank + self._members)
        return tuple(divmod(rank, self._at_once) for rank in ranks if rank < self._turns * self._at_once)

    def _slot_in(self, turn: int) -> int | None:
        """The connection that this member has in a turn; None: it is not its turn."""
        return next((slot for place, slot in self._slots_of() if place == turn % self._turns), None)

    def _place_in(self, turn: int, slot: int) -> int | None:
        """The place among those who may send requests in a turn; None: it is none of them."""
        if turn % self._rate_every:
            return None
        # Since these two numbers have no common divisor, so many turns with requests are each turn of a
        # round once. After that it is the next ones of each turn.
        visit = turn // self._rate_every // self._turns
        place = (slot - visit * self._rate_at_once) % self._at_once
        return place if place < self._rate_at_once else None

    def _has(self, turn: int) -> bool:
        slot = self._slot_in(turn)
        return slot is not None and (self._per_s is None or self._place_in(turn, slot) is not None)

    def _next_turn(self, first: int) -> int:
        """The first turn from ``first`` on in which this member may send requests."""
        return min(self._next_turn_of(place, slot, first) for place, slot in self._slots_of())

    def _next_turn_of(self, place: int, slot: int, first: int) -> int:
        turn = first + (place - first) % self._turns
        if self._per_s is None:
            return turn
        while turn % self._rate_every:
            turn += self._turns
        while self._place_in(turn, slot) is None:
            turn += self._turns * self._rate_every
        return turn

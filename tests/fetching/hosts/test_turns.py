"""Members of a run that share a host by the clock: what each is given, and many of them in a simulation."""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, pairwise

import pytest

from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import CLOCK_DIFFERENCE_S, LATENESS_S, Ending
from img2dataset.fetching.hosts.turns import MemberShare, turn_length

HOSTS = [f"{number}.example" for number in range(40)]
DEADLINE_S = 60.0
TURN_S = turn_length(DEADLINE_S)


class Run:
    """Members with clocks of their own, and the requests that a host sees of them.

    ``rows`` of each member go to one host; ``duration`` says how long a request takes.
    """

    def __init__(
        self,
        members: int,
        rows: int,
        duration: Callable[[], float],
        host: str = "a.example",
        **manners: float,
    ) -> None:
        self.now = 1_800_000_000.0
        self.began: list[float] = []
        self.ended: list[float] = []
        self.put_off = 0
        self.done: Counter[tuple[int, int]] = Counter()
        self._host, self._duration = host, duration
        self._chance = random.Random(members)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._planned: dict[int, float] = {}
        self.members = [self._member(number, members, manners) for number in range(members)]
        for number, hosts in enumerate(self.members):
            for row in range(rows):
                hosts.set_aside(host, (number, row), self.now)
            self._look(number)

    def _member(self, number: int, members: int, manners: dict[str, float]) -> HostSlots[tuple[int, int]]:
        wrong_by = self._chance.uniform(-CLOCK_DIFFERENCE_S / 2, CLOCK_DIFFERENCE_S / 2)
        return HostSlots(
            HostManners(members=members, member=number, **manners),  # type: ignore[arg-type]
            64,
            deadline_s=DEADLINE_S,
            unix_clock=lambda: self.now + wrong_by,
        )

    def go_on(self, until_s: float = math.inf) -> None:
        """To the end, or for so many seconds."""
        end = self.now + until_s
        while self._events and self._events[0][0] < end:
            self.now, _, act = heapq.heappop(self._events)
            act()

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act))

    def _look(self, number: int) -> None:
        hosts = self.members[number]
        while (found := hosts.next_job(self.now)) is not None:
            assert found[1] is None
            self._request(number, found[0])
        due = hosts.next_due(self.now)
        if due is not None and self._planned.get(number, math.inf) > due:
            self._planned[number] = due
            self._at(max(due, self.now), lambda: self._look_as_planned(number))

    def _look_as_planned(self, number: int) -> None:
        self._planned.pop(number, None)
        self._look(number)

    def _request(self, number: int, row: tuple[int, int]) -> None:
        self.began.append(self.now)
        takes_s = self._duration()
        most_s = self.members[number].turn_ends(self._host, self.now) - self.now
        if takes_s <= most_s:
            self._at(self.now + takes_s, lambda: self._end(number, row))
        else:
            late_s = self._chance.uniform(0, LATENESS_S)
            self._at(self.now + most_s + late_s, lambda: self._put_off(number, row))

    def _end(self, number: int, row: tuple[int, int]) -> None:
        self.ended.append(self.now)
        self.done[row] += 1
        self.members[number].leave(self._host, self.now, Ending.ACCEPTED, self.now)
        self._look(number)

    def _put_off(self, number: int, row: tuple[int, int]) -> None:
        self.ended.append(self.now)
        self.put_off += 1
        self.members[number].leave(self._host, self.now, Ending.NOTHING)
        self.members[number].set_aside(self._host, row, self.now, first=True)
        self._look(number)

    @property
    def most_under_way(self) -> int:
        changes = sorted([(end, -1) for end in self.ended] + [(begin, 1) for begin in self.began])
        running = most = 0
        for _, change in changes:
            running += change
            most = max(most, running)
        return most

    @property
    def busy_s(self) -> float:
        still = [self.now] * (len(self.began) - len(self.ended))
        return sum(
            end - begin for begin, end in zip(sorted(self.began), sorted(self.ended) + still, strict=True)
        )

    def most_in(self, seconds: float) -> int:
        """The most requests in any time of that length."""
        times = sorted(self.began)
        return max(bisect_left(times, time + seconds - 1e-6) - index for index, time in enumerate(times))


@pytest.mark.parametrize(("members", "bound"), [(100, 2), (7, 1), (5, 3), (4, 5), (3, 2), (100, 32)])
def test_no_host_ever_sees_more_requests_at_once_than_the_run_may_have(members: int, bound: int) -> None:
    chance = random.Random(bound)
    durations = [0.05] * 60 + [0.5] * 30 + [5.0] * 9 + [59.5]
    run = Run(members, 30, lambda: chance.choice(durations), max_connections_per_host=bound)
    run.go_on()
    assert run.most_under_way == bound
    assert sum(run.done.values()) == len(run.done) == members * 30
    assert run.put_off == 0 or members > bound
    assert run.put_off > 0 or members < 7


@pytest.mark.parametrize(("members", "bound"), [(100, 2), (3, 2), (4, 5), (12, 32), (100, 32)])
def test_the_bound_is_used_not_only_kept(members: int, bound: int) -> None:
    run = Run(members, 70 + 2600 * bound // members, lambda: 1.0, max_connections_per_host=bound)
    run.go_on(20 * TURN_S)
    # Time in which a request of one second is cut short is lost as well.
    assert run.busy_s - run.put_off > 0.9 * bound * 20 * TURN_S


@pytest.mark.parametrize(
    ("members", "bound", "rate"), [(4, 32, 20), (3, 32, 20), (100, 2, 20), (100, 200, 20), (4, 2, 2.5)]
)
def test_a_rate_is_kept_in_each_second(members: int, bound: int, rate: float) -> None:
    rows = 700 + int(1500 * rate / members)
    run = Run(
        members, rows, lambda: 0.01, max_connections_per_host=bound, max_requests_per_second_per_host=rate
    )
    run.go_on(20 * TURN_S)
    assert run.most_in(1.0) <= math.ceil(rate)
    assert len(run.began) > 0.84 * math.floor(rate) * 20 * TURN_S


@pytest.mark.parametrize(("members", "seconds"), [(5, 10.0), (4, 90.0), (3, 1000.0), (6, 70.0)])
def test_a_request_in_many_seconds_is_one_for_all_members(members: int, seconds: float) -> None:
    rows = 4
    run = Run(members, rows, lambda: 0.1, max_requests_per_second_per_host=1 / seconds)
    run.go_on()
    times = sorted(run.began)
    assert min(after - before for before, after in pairwise(times)) > seconds - 1e-6
    assert len(run.done) == members * rows


def test_the_crawl_delay_of_a_site_is_that_of_the_run() -> None:
    run = Run(4, 10, lambda: 0.1, max_connections_per_host=2)
    for hosts in run.members:
        hosts.space("a.example", 20.0)
    run.go_on()
    times = sorted(run.began)[8:]  # what was sent before anybody had read it
    assert min(after - before for before, after in pairwise(times)) > 20.0 - 1e-6


def shares(host: str, members: int, bound: int | None, rate: float | None = None) -> Iterator[MemberShare]:
    return (MemberShare(host, member, members, bound, rate, TURN_S) for member in range(members))


def test_what_cannot_be_divided_evenly_goes_to_other_members_at_other_hosts() -> None:
    first = set()
    for host in HOSTS:
        parts = [share.connections for share in shares(host, 4, 5)]
        assert sorted(part or 0 for part in parts) == [1, 1, 1, 2]
        first.add(parts.index(2))
        slots = [slot for share in shares(host, 4, 5) for slot in share.slots(0.0)]
        assert sorted(slots) == list(range(5))
    assert first == {0, 1, 2, 3}


@pytest.mark.parametrize(("members", "bound"), [(100, 2), (7, 3), (40, 32)])
def test_each_slot_of_a_turn_is_one_member_s(members: int, bound: int) -> None:
    for host in HOSTS[:5]:
        for turn in range(-(-members // bound)):
            now = 1_800_000_000.0 + turn * TURN_S
            holders = Counter(slot for share in shares(host, members, bound) for slot in share.slots(now))
            assert holders == Counter(range(bound))


def test_a_turn_has_room_for_a_whole_download_and_is_bounded() -> None:
    share = next(shares("a.example", 9, 1))
    begins = 1_800_000_000.0 + share.opens_in(1_800_000_000.0)
    assert share.opens_in(begins + 1e-3) == 0
    assert share.ends_in(begins + 1e-3) >= DEADLINE_S
    assert turn_length(math.inf) < 700


def test_with_a_connection_for_each_member_nobody_waits() -> None:
    for share in shares("a.example", 4, 4):
        assert [share.opens_in(1000.0 * n) for n in range(50)] == [0.0] * 50
        assert share.ends_in(0.0) == math.inf
    assert all(share.connections is None for share in shares("a.example", 4, None))


def test_time_without_a_turn_is_not_counted_as_time_in_which_a_host_pushes_back() -> None:
    hosts = HostSlots[str](
        HostManners(members=20, member=3, max_connections_per_host=1), 64, unix_clock=lambda: now
    )
    now = 1_800_000_000.0
    hosts.set_aside("a.example", "row", now)
    for _ in range(4):
        assert hosts.next_job(now) is None
        due = hosts.next_due(now)
        assert due is not None
        assert due > now
        now = due + 0.01
        assert hosts.next_job(now) == ("row", None)
        hosts.pushed_back("a.example", now, now, None, failure=None)  # type: ignore[arg-type]
        hosts.leave("a.example", now, Ending.PUSHED_BACK)
        hosts.set_aside("a.example", "row", now, first=True)
        now += TURN_S  # its turn is over
        assert hosts.closed("a.example", now) is None

"""Bytes a second of a host, held by all processes and members of a run together, by a clock of the test."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from img2dataset.fetching.hosts.policies import HostPolicies, HostPolicy
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.sharing import VARIABLE, make_shared_file
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import UNUSED_S, Ending
from img2dataset.fetching.hosts.turns import MemberShare

HOST = "a.example"
RATE = 1_000_000


@pytest.fixture
def shared_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    file = make_shared_file()
    assert file is not None
    with file:
        monkeypatch.setenv(VARIABLE, str(file.fileno()))
        yield file


class Run:
    """Processes that ask one host for as much as they may; each request brings some bytes at its end."""

    def __init__(
        self,
        processes: list[HostSlots[int]],
        sizes: Callable[[], int],
        durations: Callable[[], float],
        rows: int,
    ) -> None:
        self.processes = processes
        self.arrived: list[tuple[float, int]] = []
        self.running = self.most_running = 0
        self._sizes, self._durations = sizes, durations
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        for process in processes:
            for row in range(rows):
                process.set_aside(HOST, row, 0.0)
            self._look(process, 0.0)
        while self._events:
            now, _, act = heapq.heappop(self._events)
            act(now)

    def most_within(self, seconds: float) -> int:
        times = self.arrived
        return max(sum(size for at, size in times if begin <= at < begin + seconds) for begin, _ in times)

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act))

    def _look(self, process: HostSlots[int], now: float) -> None:
        while process.next_job(now) is not None:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self._at(now + self._durations(), lambda end: self._end(process, end))
        due = process.next_due(now)
        if due is not None:
            # A loop wakes a little late.
            self._at(max(due, now) + 0.002, lambda then: self._look(process, then))

    def _end(self, process: HostSlots[int], now: float) -> None:
        size = self._sizes()
        self.running -= 1
        self.arrived.append((now, size))
        process.leave(HOST, now, Ending.ACCEPTED, now, size)
        self._look(process, now)


def manners(connections: int | None = 2, **others: int) -> HostManners:
    policy = HostPolicy(host=HOST, connections=connections, bytes_per_s=RATE)
    return HostManners(policies=HostPolicies([policy]), **others)


def processes_of_a_run(count: int) -> list[HostSlots[int]]:
    return [HostSlots(manners(processes=count), 64) for _ in range(count)]


@pytest.mark.parametrize("duration_s", [0.001, 0.05, 0.4])
@pytest.mark.parametrize("size", [20_000, 100_000, 400_000])
def test_two_processes_hold_the_rate_and_use_it(shared_file: BinaryIO, size: int, duration_s: float) -> None:
    chance = random.Random(1)
    rows = 30 * RATE // size // 2
    run = Run(
        processes_of_a_run(2),
        lambda: chance.randrange(size // 10, 2 * size - size // 10),
        lambda: chance.uniform(0.5, 1.5) * duration_s,
        rows,
    )
    assert len(run.arrived) == 2 * rows
    assert run.most_running <= 2
    took_s = run.arrived[-1][0]
    total = sum(arrived for _, arrived in run.arrived)
    possible = min(RATE, 2 * size / duration_s)
    assert total <= RATE * (took_s + UNUSED_S) + 4 * size
    assert total >= 0.9 * possible * took_s
    assert run.most_within(10) <= RATE * (10 + UNUSED_S) + 4 * size


def test_one_process_has_the_whole_rate_while_the_other_has_no_rows(shared_file: BinaryIO) -> None:
    run = Run(processes_of_a_run(2)[:1], lambda: 100_000, lambda: 0.01, 200)
    assert 0.95 < 200 * 100_000 / RATE / run.arrived[-1][0] < 1.05


def test_processes_that_can_share_nothing_have_a_part_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    run = Run(processes_of_a_run(2), lambda: 100_000, lambda: 0.01, 100)
    assert 0.9 < 200 * 100_000 / RATE / run.arrived[-1][0] < 1.1


@pytest.mark.parametrize("connections", [None, 2, 4])
def test_members_that_are_at_work_at_once_have_a_part_each(connections: int | None) -> None:
    members = [HostSlots[int](manners(connections, members=2, member=n), 64) for n in range(2)]
    run = Run(members, lambda: 100_000, lambda: 0.01, 100)
    assert 0.9 < 200 * 100_000 / RATE / run.arrived[-1][0] < 1.1


def test_members_that_take_turns_have_what_those_of_one_turn_can_use() -> None:
    assert MemberShare(HOST, 0, 4, 2, None, 60.0).part_of(RATE) == RATE / 2


def test_what_a_request_brought_counts_however_it_ended() -> None:
    for ending in Ending:
        hosts: HostSlots[int] = HostSlots(manners(), 64)
        assert hosts.enter(HOST, 0.0)
        hosts.leave(HOST, 0.1, ending, 0.0, 5 * RATE)
        assert not hosts.enter(HOST, 4.0), ending


def test_a_host_of_which_no_policy_speaks_is_asked_whatever_has_come() -> None:
    hosts: HostSlots[int] = HostSlots(manners(), 64)
    for _ in range(3):
        assert hosts.enter("b.example", 0.0)
        hosts.leave("b.example", 0.0, Ending.ACCEPTED, 0.0, 100 * RATE)

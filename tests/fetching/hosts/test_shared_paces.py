"""What the processes of a run learn of a host that pushes back is one pace: a real file, real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from img2dataset.failures import of_status
from img2dataset.fetching.hosts.pace import HostPace
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.sharing import VARIABLE, SharedPaces, make_shared_file
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import Ending

REPOSITORY = Path(__file__).resolve().parents[3]
A, B = "a.example", "b.example"
# Counts 500 connections that fail, one by one, in the pace that it shares.
COUNTER = """
from img2dataset.fetching.hosts.pace import HostPace
from img2dataset.fetching.hosts.sharing import SharedPaces
paces, pace = SharedPaces.of_run(), HostPace(8.0, 0.0)
for _ in range(500):
    paces.change("a.example", pace, 1.0, lambda: pace.connect_failed(1.0))
"""


@pytest.fixture
def shared_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    file = make_shared_file()
    assert file is not None
    with file:
        monkeypatch.setenv(VARIABLE, str(file.fileno()))
        yield file


def processes_of_a_run(count: int, **manners: float) -> list[HostSlots[str]]:
    return [HostSlots(HostManners(processes=count, **manners), 64) for _ in range(count)]  # type: ignore[arg-type]


def push_back(hosts: HostSlots[str], now: float, sent: float, after: float | None = None) -> None:
    hosts.pushed_back(A, now, sent, after, of_status(429))
    hosts.leave(A, now, Ending.PUSHED_BACK)


def test_changes_of_several_processes_are_not_lost(shared_file: BinaryIO) -> None:
    command = [sys.executable, "-c", COUNTER]
    counters = [subprocess.Popen(command, cwd=REPOSITORY, pass_fds=[shared_file.fileno()]) for _ in range(3)]
    assert [counter.wait(240) for counter in counters] == [0, 0, 0]
    pace = HostPace(8.0, 0.0)
    assert SharedPaces(shared_file.fileno()).change(A, pace, 2.0, lambda: pace.connect_failures) == 1500


def test_a_host_that_asks_one_process_to_wait_is_left_alone_by_all(shared_file: BinaryIO) -> None:
    one, other = processes_of_a_run(2)
    assert one.enter(A, 0.0)
    assert other.enter(A, 0.0)
    push_back(one, 1.0, 0.0, 30.0)
    other.leave(A, 1.1, Ending.ACCEPTED, 0.0)
    assert not other.enter(A, 1.2)
    other.set_aside(A, "waits", 1.2)
    assert other.next_due(1.2) == 31.0
    assert other.next_job(31.0) == ("waits", None)
    assert not one.enter(A, 31.0), "the first request of all finds out"


def test_the_refusals_of_one_burst_cut_the_pace_once(shared_file: BinaryIO) -> None:
    processes = processes_of_a_run(4)
    for hosts in processes:
        assert all(hosts.enter(A, 0.0) for _ in range(8))
    for hosts in processes:
        for _ in range(8):
            push_back(hosts, 0.5, 0.0)
    paces = SharedPaces(shared_file.fileno())
    pace = HostPace(8.0, 0.0)
    assert paces.change(A, pace, 1.0, lambda: (pace.rounds, pace.per_s)) == (1, 1.0)


def test_a_host_that_one_process_gives_up_is_closed_for_the_rows_of_all(shared_file: BinaryIO) -> None:
    one, other = processes_of_a_run(2, max_retry_after=100.0)
    assert one.enter(A, 0.0)
    push_back(one, 0.0, 0.0, 3600.0)
    assert other.closed(A, 1.0) is None, "it has not looked yet"
    assert not other.enter(A, 1.0)
    other.set_aside(A, "row", 1.0)
    assert other.next_job(1.0) == ("row", "HTTP 429")
    assert other.closed(A, 2.0) == "HTTP 429"
    assert other.enter(B, 2.0)


def test_hosts_that_do_not_push_back_are_not_written_down(shared_file: BinaryIO) -> None:
    for hosts in processes_of_a_run(2):
        for n in range(100):
            assert hosts.enter(f"{n}.example", 0.0)
            hosts.leave(f"{n}.example", 1.0, Ending.ACCEPTED, 0.0)
    assert SharedPaces(shared_file.fileno()).knows(A) is False
    assert Path(f"/proc/self/fd/{shared_file.fileno()}").stat().st_size == 0


def test_the_file_is_bounded_and_the_hosts_longest_unused_are_forgotten(shared_file: BinaryIO) -> None:
    paces = SharedPaces(shared_file.fileno())
    for n in range(20_000):
        paces.change(f"{n}.example", HostPace(8.0, 0.0), 1.0 + n, lambda: None)
    assert Path(f"/proc/self/fd/{shared_file.fileno()}").stat().st_size < 2 << 20
    assert sum(paces.knows(f"{n}.example") for n in range(20_000)) <= 8192
    assert all(paces.knows(f"{n}.example") for n in range(19_900, 20_000))


def test_without_a_run_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "no number", "1000000"):
        monkeypatch.setenv(VARIABLE, value)
        assert SharedPaces.of_run() is None
    monkeypatch.delenv(VARIABLE)
    assert SharedPaces.of_run() is None


class Limited:
    """A host that accepts ``limit`` requests in any second, and says nothing but 429."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.accepted: list[float] = []
        self.refused: list[float] = []

    def accepts(self, now: float) -> bool:
        good = len(self.accepted) < self.limit or now - self.accepted[-self.limit] >= 1.0
        (self.accepted if good else self.refused).append(now)
        return good


@pytest.mark.parametrize("shares", [(1, 1), (1, 1, 1, 1), (9, 1)])
@pytest.mark.parametrize("limit", [5, 50])
@pytest.mark.parametrize("latency", [0.002, 0.15])
@pytest.mark.parametrize("after", [None, 1.0])
def test_all_processes_together_keep_to_the_rate_of_a_host_and_use_it(
    shared_file: BinaryIO, shares: tuple[int, ...], limit: int, latency: float, after: float | None
) -> None:
    server, rows, now = Limited(limit), 100 * limit, 0.0
    processes = processes_of_a_run(len(shares))
    for hosts, share in zip(processes, shares, strict=True):
        for n in range(rows * share // sum(shares)):
            hosts.set_aside(A, str(n), now)
    running: list[tuple[float, float, str, bool, HostSlots[str]]] = []
    while len(server.accepted) < rows:
        for hosts in processes:
            while (found := hosts.next_job(now)) is not None:
                assert found[1] is None
                running.append((now + latency, now, found[0], server.accepts(now), hosts))
        dues = [due for hosts in processes if (due := hosts.next_due(now)) is not None]
        now = min([end for end, *_ in running] + dues)
        for request in [request for request in running if request[0] <= now]:
            running.remove(request)
            _, sent, job, accepted, hosts = request
            if accepted:
                hosts.leave(A, now, Ending.ACCEPTED, sent)
            else:
                push_back(hosts, now, sent, after)
                hosts.set_aside(A, job, now, first=True)
    assert len(server.accepted) == rows
    assert len([moment for moment in server.refused if moment > 20]) <= 0.01 * rows
    assert now <= 130  # 100 s at the very limit

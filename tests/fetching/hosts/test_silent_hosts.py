"""Hosts that accept connections and say nothing: they cost a run little, and lose no row of the others."""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import TRIAL_AFTER_S, TRIAL_REQUESTS, Ending, HostState
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S, download_all
from tests.servers import ImageServer

A = "a.example"
LATER = TRIAL_AFTER_S + 1.0


class SilentHosts:
    """Addresses at which connections are taken and nothing is ever said."""

    def __init__(self, count: int) -> None:
        self._sockets = [socket.create_server((f"127.0.3.{1 + n}", 0), backlog=256) for n in range(count)]
        self._taken: list[socket.socket] = []
        for each in self._sockets:
            each.setblocking(False)

    def url(self, row: int) -> str:
        """Of the host whose turn it is at ``row``."""
        address, port = self._sockets[row % len(self._sockets)].getsockname()
        return f"http://{address}:{port}/{row}.jpg"

    def requests(self) -> int:
        """Connections so far, of which each brings one request."""
        for each in self._sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._taken.append(each.accept()[0])
        return len(self._taken)

    def close(self) -> None:
        for each in (*self._sockets, *self._taken):
            each.close()


@pytest.fixture
def silent() -> Iterator[SilentHosts]:
    hosts = SilentHosts(10)
    yield hosts
    hosts.close()


def test_the_rows_of_a_silent_host_fail_with_the_first_few(silent: SilentHosts) -> None:
    urls = [silent.url(10 * row) for row in range(100)]
    outcomes = download_all(urls, thread_count=8, timeout=3)
    assert {outcome.failure for outcome in outcomes} == {"timeout: silence"}
    assert TRIAL_REQUESTS <= silent.requests() <= 8


def test_many_silent_hosts_among_others_take_no_row_from_them(
    image_server: ImageServer, silent: SilentHosts
) -> None:
    good = image_server.put("/among-silent.jpg", b"good")
    urls = [f"{good}?{row}" for row in range(200)]
    urls += [silent.url(row) for row in range(200)]
    urls = [urls[(row * 7) % 400] for row in range(400)]
    outcomes = download_all(urls, thread_count=16, timeout=3)
    assert Counter(outcome.failure for outcome in outcomes) == {None: 200, "timeout: silence": 200}
    assert silent.requests() <= 100


def test_a_host_that_answers_late_and_in_time_loses_no_row(image_server: ImageServer) -> None:
    url = image_server.put("/late.jpg", b"late", latency_s=LATER + 0.5).replace("127.0.0.1", "127.0.0.16")
    outcomes = download_all([f"{url}?{row}" for row in range(40)], thread_count=8, timeout=20)
    assert {outcome.failure for outcome in outcomes} == {None}


def test_silent_transfers_do_not_take_the_slots_of_hosts_that_answer(
    image_server: ImageServer, silent: SilentHosts
) -> None:
    quick = image_server.put("/beside-silent.jpg", b"quick")
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(thread_count=4, timeout=15, adaptive_thread_count=False), delivered.put
    ) as fetcher:
        fetcher.submit(Row(0, row, silent.url(row)) for row in range(4))
        while fetcher.in_flight < 4:
            time.sleep(0.01)
        fetcher.submit(Row(1, row, f"{quick}?{row}") for row in range(50))
        order = []
        for _ in range(54):
            order.append(delivered.get(timeout=HANG_GUARD_S))
            fetcher.release(order[-1].size)
    assert [fetched.row.shard_id for fetched in order] == [1] * 50 + [0] * 4
    assert {fetched.failure for fetched in order[50:]} == {"timeout: silence"}


def test_rows_of_a_host_on_trial_are_not_given_to_another_process(silent: SilentHosts) -> None:
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(thread_count=2, timeout=HANG_GUARD_S, adaptive_thread_count=False), delivered.put
    ) as fetcher:
        fetcher.submit(Row(0, row, silent.url(10 * row)) for row in range(20))
        while silent.requests() < 2:
            time.sleep(0.01)
        time.sleep(LATER)
        assert fetcher.take_back(20) == []
        # Meanwhile further rows may begin: silent requests leave their slots to others after a while.
        begun = 20 - len(fetcher.take_back(20, even_on_trial=True))
        assert 2 <= begun <= 4
        until = time.monotonic() + HANG_GUARD_S
        while silent.requests() < begun and time.monotonic() < until:
            time.sleep(0.01)
        assert silent.requests() == begun


def test_a_host_on_trial_is_asked_no_more_often_than_its_verdict_takes() -> None:
    hosts: HostSlots[str] = HostSlots(HostManners(), 100)
    assert hosts.state(A, 0.0) == HostState.NEW
    assert hosts.enter(A, 0.0)
    assert hosts.state(A, 0.5) == HostState.ASKED
    assert hosts.state(A, LATER) == HostState.ON_TRIAL
    assert [hosts.enter(A, LATER) for _ in range(TRIAL_REQUESTS)] == [True] * (TRIAL_REQUESTS - 1) + [False]
    hosts.set_aside(A, "waits", LATER)
    hosts.leave(A, 10.0, Ending.SILENT)
    assert hosts.next_job(10.0) is None
    for _ in range(TRIAL_REQUESTS - 1):
        hosts.leave(A, 12.0, Ending.SILENT)
    assert hosts.next_job(12.0) == ("waits", "timeout: silence")


def test_the_first_sign_of_a_host_ends_its_trial() -> None:
    hosts: HostSlots[str] = HostSlots(HostManners(), 100)
    for _ in range(TRIAL_REQUESTS):
        assert hosts.enter(A, 0.0)
    assert not hosts.enter(A, LATER)
    hosts.set_aside(A, "waits", LATER)
    hosts.heard_from(A, LATER)
    assert hosts.next_job(LATER) == ("waits", None)
    for _ in range(3 * TRIAL_REQUESTS):
        assert hosts.enter(A, LATER)
        hosts.leave(A, 30.0, Ending.SILENT)
    assert hosts.closed(A, 30.0) is None


def test_a_host_that_was_closed_for_its_silence_is_asked_again_by_one_request() -> None:
    hosts: HostSlots[str] = HostSlots(HostManners(), 100)
    for _ in range(TRIAL_REQUESTS):
        assert hosts.enter(A, 0.0)
    for _ in range(TRIAL_REQUESTS):
        hosts.leave(A, 10.0, Ending.CONNECT_TIMEOUT)
    assert hosts.closed(A, 60.0) == "timeout: connect"
    assert hosts.closed(A, 80.0) is None
    assert [hosts.enter(A, 80.0) for _ in range(2)] == [True, False]
    hosts.leave(A, 81.0, Ending.ACCEPTED)
    assert [hosts.enter(A, 82.0) for _ in range(9)] == [True] * 9


def test_where_rows_are_tried_again_a_silent_host_gets_that_many_trials() -> None:
    hosts: HostSlots[str] = HostSlots(HostManners(), 100, tries=3)
    for asked in range(3 * TRIAL_REQUESTS):
        assert hosts.closed(A, asked * 10.0) is None
        assert hosts.enter(A, asked * 10.0)
        hosts.leave(A, asked * 10.0 + 9.0, Ending.SILENT)
    assert hosts.closed(A, asked * 10.0 + 9.0) == "timeout: silence"

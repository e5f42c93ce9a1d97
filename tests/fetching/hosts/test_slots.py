"""One slot a host, as pure decisions: no network, and the time is an argument."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from img2dataset.failures import of_text
from img2dataset.fetching.hosts.politeness import HostManners, host_of, is_own_network
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import REMEMBERED_HOSTS, Ending, ending_of

A, B = "a.example", "b.example"


def slots(concurrency: int = 100, **manners: object) -> HostSlots[str]:
    return HostSlots(HostManners(**manners), concurrency)  # type: ignore[arg-type]


def waiting(hosts: HostSlots[str]) -> int:
    return sum(len(host.waiting) for host in hosts._busy.values())


def begin(hosts: HostSlots[str], host: str, job: str, now: float = 0.0) -> bool:
    if hosts.enter(host, now):
        return True
    hosts.set_aside(host, job, now)
    return False


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("http://A.Example/x.jpg", "a.example"),
        ("https://a.example:443/x", "a.example"),
        ("http://a.example:80/x", "a.example"),
        ("http://a.example:8080/x", "a.example:8080"),
        ("https://user:p@a.example/x@y", "a.example"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("http://[2001:db8::80]/", "[2001:db8::80]"),
        ("http://[::1]:80/", "[::1]"),
    ],
)
def test_a_host_is_a_name_and_a_port(uri: str, host: str) -> None:
    assert host_of(uri) == host


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("10.1.2.3", True),
        ("192.168.0.1:80", True),
        ("localhost:1", True),
        ("nas", True),
        ("minio.default.svc.cluster.local:9000", True),
        ("8.8.8.8", False),
        ("a.example", False),
    ],
)
def test_by_default_only_the_internet_is_bounded(host: str, own: bool) -> None:
    assert is_own_network(host) is own
    assert (HostManners().connections_to(host) is None) is own
    assert HostManners(max_connections_per_host=4).connections_to(host) == 4
    assert HostManners(max_connections_per_host=0).connections_to(host) is None


def test_a_host_at_its_bound_does_not_block_another() -> None:
    hosts = slots(max_connections_per_host=2)
    assert [begin(hosts, A, f"a{n}") for n in range(5)] == [True, True, False, False, False]
    assert begin(hosts, B, "b0")
    assert hosts.next_job(0.0) is None
    hosts.leave(A, 1.0, Ending.ACCEPTED)
    assert hosts.next_job(1.0) == ("a2", None)
    assert hosts.next_job(1.0) is None
    assert waiting(hosts) == 2


def test_the_processes_of_a_run_share_the_bound() -> None:
    hosts = slots(max_connections_per_host=10, processes=4)
    assert sum(begin(hosts, A, str(n)) for n in range(10)) * 4 <= 10


def test_hosts_with_rows_that_wait_take_turns() -> None:
    hosts = slots(max_connections_per_host=1)
    for host in (A, B):
        for n in range(4):
            begin(hosts, host, f"{host[0]}{n}")
    order = []
    for _ in range(3):
        hosts.leave(A, 1.0, Ending.ACCEPTED)
        hosts.leave(B, 1.0, Ending.ACCEPTED)
        while (found := hosts.next_job(1.0)) is not None:
            order.append(found[0])
    assert order == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_rows_of_one_host_among_others_cost_a_constant_number_of_steps_each() -> None:
    hosts = slots(max_connections_per_host=1)
    steps = 0

    class Counting(HostManners):
        def connections_to(self, host: str) -> int | None:
            nonlocal steps
            steps += 1
            return super().connections_to(host)

    hosts = HostSlots(Counting(max_connections_per_host=1), 100)
    for n in range(20_000):
        begin(hosts, A, str(n))
    assert waiting(hosts) == 19_999
    for n in range(1, 20_000):
        hosts.leave(A, 0.0, Ending.ACCEPTED)
        assert hosts.next_job(0.0) == (str(n), None)
        assert len(hosts._ready) + len(hosts._later) <= 2
    assert steps <= 2, "the host is made once"


def test_a_rate_spaces_requests_evenly() -> None:
    hosts = slots(max_requests_per_second_per_host=4)
    assert [begin(hosts, A, f"a{n}") for n in range(3)] == [True, False, False]
    assert hosts.next_due(0.0) == 0.25
    assert hosts.next_job(0.24) is None
    assert hosts.next_job(0.25) == ("a1", None)
    assert hosts.next_job(0.3) is None
    assert hosts.next_job(0.5) == ("a2", None)


def test_a_host_that_cannot_be_connected_to_is_left_alone_for_a_minute_then_asked_once() -> None:
    hosts = slots()
    for n in range(10):
        assert begin(hosts, A, f"a{n}")
    assert not hosts.closed(A, 9.0)
    for n in range(10):
        hosts.leave(A, float(n), Ending.NO_CONNECTION)
    assert hosts.closed(A, 10.0) == "connection: host unreachable lately"
    assert hosts.closed(B, 10.0) is None
    assert hosts.closed(A, 69.5) is None
    assert [begin(hosts, A, "probe", 69.5), begin(hosts, A, "next", 69.5)] == [True, False]
    hosts.leave(A, 70.0, Ending.NO_CONNECTION)
    assert hosts.next_job(70.0) == ("next", "connection: host unreachable lately")
    assert begin(hosts, A, "later", 131.0)
    hosts.leave(A, 131.0, Ending.ACCEPTED)
    assert [begin(hosts, A, "a"), begin(hosts, A, "b")] == [True, True]


def test_any_answer_ends_the_series_of_failures() -> None:
    hosts = slots()
    for _ in range(5):
        for _ in range(9):
            assert begin(hosts, A, "a")
            hosts.leave(A, 0.0, Ending.NO_CONNECTION)
        assert begin(hosts, A, "a")
        hosts.leave(A, 0.0, Ending.ACCEPTED)
    assert hosts.closed(A, 0.0) is None


def push_back(hosts: HostSlots[str], now: float, sent: float, after: float | None = None) -> None:
    hosts.pushed_back(A, now, sent, after, "HTTP 429")
    hosts.leave(A, now, Ending.PUSHED_BACK)


def test_retry_after_keeps_the_whole_host_quiet_and_then_one_request_asks() -> None:
    hosts = slots()
    assert [begin(hosts, A, f"a{n}") for n in range(4)] == [True] * 4
    begin(hosts, B, "b")
    for _ in range(3):
        hosts.leave(A, 1.0, Ending.ACCEPTED)
    push_back(hosts, 1.0, 0.0, 30.0)
    assert not begin(hosts, A, "a4", 1.0)
    assert not begin(hosts, A, "a5", 1.0)
    assert begin(hosts, B, "b1", 1.0)
    assert hosts.next_due(2.0) == 31.0
    assert hosts.next_job(30.9) is None
    assert hosts.next_job(31.0) == ("a4", None)
    assert hosts.next_job(40.0) is None
    hosts.leave(A, 40.0, Ending.ACCEPTED)
    assert hosts.next_job(40.0) == ("a5", None)


def test_a_wait_longer_than_the_limit_fails_the_rows_of_the_host_at_once() -> None:
    hosts = slots(max_retry_after=100)
    begin(hosts, A, "a0")
    push_back(hosts, 0.0, 0.0, 101.0)
    assert hosts.closed(A, 1.0) == "HTTP 429"
    hosts.set_aside(A, "a1", 1.0)
    assert hosts.next_job(1.0) == ("a1", "HTTP 429")
    assert hosts.closed(A, 102.0) is None


@pytest.mark.parametrize("processes", [1, 4])
@pytest.mark.parametrize("after", [None, 0.0, 1.0, 50.0])
def test_a_host_that_only_pushes_back_is_given_up_within_the_limit(
    after: float | None, processes: int
) -> None:
    hosts = slots(max_retry_after=120, processes=processes)
    now, requests = 0.0, 0
    while hosts.closed(A, now) is None:
        if hosts.enter(A, now):
            requests += 1
            push_back(hosts, now, now, after)
        now += 0.5
    assert now <= 121
    assert 2 <= requests <= 7


def test_connections_are_halved_once_for_all_answers_of_one_burst_and_given_back_slowly() -> None:
    hosts = slots(concurrency=16)
    for n in range(16):
        assert begin(hosts, A, str(n))
    hosts.overloaded(A, 1.0, 0.0)
    hosts.overloaded(A, 1.0, 0.0)
    for _ in range(16):
        hosts.leave(A, 1.0)
    free = 0
    while begin(hosts, A, "x", 2.0):
        free += 1
    assert free == 8
    for _ in range(8):
        hosts.leave(A, 2.0, Ending.ACCEPTED)
    assert sum(begin(hosts, A, "x", 3.0) for _ in range(16)) < 10


class Limited:
    """A host that accepts ``limit`` requests a second, in fixed seconds, and says nothing but 429."""

    def __init__(self, limit: int, offset: float) -> None:
        self.limit, self.offset = limit, offset
        self.counts: dict[int, int] = {}

    def accepts(self, now: float) -> bool:
        second = int(now + self.offset)
        self.counts[second] = self.counts.get(second, 0) + 1
        return self.counts[second] <= self.limit


def seconds_until_all_are_accepted(rows: int, latency: float, accepts: Callable[[float], bool]) -> float:
    """Ask one host for ``rows``, each as long as it takes; ``accepts`` says at what time it does."""
    hosts, now = slots(concurrency=64), 0.0
    for n in range(rows):
        hosts.set_aside(A, str(n), now)
    running: deque[tuple[float, float, str, bool]] = deque()
    done = 0
    while done < rows:
        while len(running) < 64 and (found := hosts.next_job(now)) is not None:
            assert found[1] is None
            running.append((now + latency, now, found[0], accepts(now)))
        due = hosts.next_due(now) if len(running) < 64 else None
        now = min([*[end for end, *_ in list(running)[:1]], *([] if due is None else [due])])
        while running and running[0][0] <= now:
            _, sent, job, accepted = running.popleft()
            if accepted:
                done += 1
                hosts.leave(A, now, Ending.ACCEPTED, sent)
            else:
                push_back(hosts, now, sent)
                hosts.set_aside(A, job, now, first=True)
    return now


@pytest.mark.parametrize("one_in", [1000, 200, 100])
def test_a_host_that_refuses_a_request_now_and_then_whatever_the_rate_is_not_slowed_to_a_crawl(
    one_in: int,
) -> None:
    """Each refusal keeps it quiet for a second; were the rate cut each time, it would end at 0.1 a second."""
    chance = random.Random(1)
    rows = 20_000
    now = seconds_until_all_are_accepted(rows, 0.02, lambda _: chance.random() * one_in >= 1)
    assert rows / now > 10


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("limit", [1, 5, 50])
@pytest.mark.parametrize("latency", [0.002, 0.15])
def test_the_rate_a_host_accepts_is_found_in_seconds_and_then_kept(
    limit: int, offset: float, latency: float
) -> None:
    server = Limited(limit, offset)
    rows = 100 * limit
    now = seconds_until_all_are_accepted(rows, latency, server.accepts)
    late = [count for second, count in server.counts.items() if second > 20]
    refused = sum(max(0, count - limit) for second, count in server.counts.items() if second > 20)
    assert max(late) <= limit + 1
    assert refused <= 0.01 * rows
    assert now <= 160  # 100 s at the very limit


def test_answers_that_come_late_count_for_the_rate_that_was_accepted() -> None:
    # Of 64 requests at once, the refusals come first: 40 would have been accepted.
    hosts = slots(concurrency=64, max_connections_per_host=0)
    for _ in range(64):
        assert hosts.enter(A, 0.0)
    for _ in range(24):
        push_back(hosts, 0.01, 0.0)
    for _ in range(40):
        hosts.leave(A, 0.2, Ending.ACCEPTED, 0.0)
    assert hosts.enter(A, 1.5)
    hosts.leave(A, 1.5, Ending.ACCEPTED, 1.5)
    assert hosts.enter(A, 1.53)


def test_jobs_that_wait_are_taken_back_from_the_hosts_with_the_most_the_last_ones_first() -> None:
    hosts = slots(max_connections_per_host=1)
    for host, count in ((A, 7), (B, 5)):
        for n in range(count):
            begin(hosts, host, f"{host[0]}{n}")
    # Of A wait a1 to a6; a5 is not to go.
    assert hosts.take_back(3, lambda job: job != "a5") == ["a6", "a4", "a3"]
    assert waiting(hosts) == 7
    assert hosts.take_back(100, lambda job: job != "a5") == ["b4", "b3", "b2", "b1", "a2", "a1"]
    assert waiting(hosts) == 1
    hosts.leave(B, 1.0, Ending.ACCEPTED)
    assert hosts.next_job(1.0) is None
    hosts.leave(A, 1.0, Ending.ACCEPTED)
    assert hosts.next_job(1.0) == ("a5", None)


def test_jobs_that_nobody_wants_any_more_are_passed_over_and_take_no_slot() -> None:
    unwanted = {"a1", "a2", "a3"}
    hosts: HostSlots[str] = HostSlots(
        HostManners(max_connections_per_host=1), 100, is_open=lambda job: job not in unwanted
    )
    for n in range(5):
        begin(hosts, A, f"a{n}")
    hosts.leave(A, 1.0, Ending.ACCEPTED)
    assert hosts.next_job(1.0) == ("a4", None)
    unwanted.add("a5")
    begin(hosts, A, "a5")
    hosts.leave(A, 2.0, Ending.ACCEPTED)
    assert hosts.next_job(2.0) is None
    assert begin(hosts, A, "a6")


def test_idle_hosts_are_forgotten_beyond_some_thousand() -> None:
    hosts = slots()
    for n in range(REMEMBERED_HOSTS + 500):
        assert begin(hosts, f"{n}.example", "job")
        hosts.leave(f"{n}.example", 0.0, Ending.ACCEPTED)
    assert len(hosts._idle) == REMEMBERED_HOSTS
    assert not hosts._busy


def test_what_an_end_says_about_the_host() -> None:
    assert ending_of(None, 200, False) is Ending.ACCEPTED
    assert ending_of(of_text("HTTP 404"), 404, False) is Ending.ACCEPTED
    assert ending_of(of_text("HTTP 429"), 429, False) is Ending.PUSHED_BACK
    assert ending_of(of_text("HTTP 503"), 503, True) is Ending.PUSHED_BACK
    assert ending_of(of_text("HTTP 503"), 503, False) is Ending.OVERLOADED
    assert ending_of(of_text("connection: refused"), None, False) is Ending.NO_CONNECTION
    assert ending_of(of_text("timeout: connect"), None, False) is Ending.CONNECT_TIMEOUT
    assert ending_of(of_text("timeout: silence"), None, False) is Ending.SILENT
    assert ending_of(of_text("timeout: deadline"), None, False) is Ending.NOTHING

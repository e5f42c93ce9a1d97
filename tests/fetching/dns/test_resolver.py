"""Names are found in the process, from real name servers on loopback that lose, delay, refuse and change."""

from __future__ import annotations

import os
import queue
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from img2dataset.errors import OptionError
from img2dataset.failures import of_text
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.dns.lookup import Resolved
from img2dataset.fetching.dns.name_servers import NameServers
from img2dataset.fetching.dns.resolver import MOST_QUESTIONS, Resolver
from img2dataset.fetching.dns.system import SearchRules, has_ipv6
from img2dataset.fetching.http.transport import Transport
from img2dataset.types import Fetched, Row
from tests.fetching.dns_server import DnsServer
from tests.fetching.download_all import HANG_GUARD_S, download, download_all, failure_of
from tests.fetching.own_network import Visit, visit
from tests.servers import ImageServer, TestAuthority

BODY = b"found"
# Questions for one name: this machine may want IPv6 addresses too.
ONE_LOOKUP = 2 if has_ipv6() else 1


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="module")
def port(image_server: ImageServer) -> int:
    image_server.put("/found.jpg", BODY)
    return image_server.port


def found(fetched: Fetched) -> bool:
    return fetched.body == BODY


def test_a_host_is_asked_for_once_however_many_rows_it_has(dns: DnsServer, port: int) -> None:
    urls = [
        f"http://{name}.once.test:{port}/found.jpg?{n}"
        for n in range(50)
        for name in ("a127-0-0-1", "A127-0-0-1")
    ]
    assert all(map(found, download_all(urls, dns_servers=(dns.address,), thread_count=8)))
    assert dns.questions("a127-0-0-1.once.test") == ONE_LOOKUP


def test_a_name_that_does_not_exist_costs_one_question_a_process(dns: DnsServer) -> None:
    urls = [f"http://missing.once.test/{n}.jpg" for n in range(500)]
    outcomes = download_all(urls, dns_servers=(dns.address,), thread_count=8, retries=2)
    assert {outcome.failure for outcome in outcomes} == {"DNS: name not found"}
    assert dns.questions("missing.once.test") <= ONE_LOOKUP
    assert failure_of("http://nothing-of-any-type.test/", dns_servers=(dns.address,)) == "DNS: name not found"


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("servfail.test", "DNS: temporary failure"),
        ("refused.test", "DNS: temporary failure"),
        ("silent.test", "DNS: timeout"),
    ],
)
def test_what_may_be_there_later_is_told_from_what_does_not_exist(
    dns: DnsServer, name: str, failure: str
) -> None:
    timeout = 2.5 if failure == "DNS: timeout" else HANG_GUARD_S
    assert failure_of(f"http://{name}/", dns_servers=(dns.address,), timeout=timeout) == failure
    assert of_text(failure).kind.again
    assert not of_text("DNS: name not found").kind.again


def test_lost_packets_and_slow_answers_do_not_lose_a_row(dns: DnsServer, port: int) -> None:
    names = [f"a127-0-0-1.{trouble}.n{n}" for n in range(10) for trouble in ("lost1", "lost2", "slow1500")]
    urls = [f"http://{name}.test:{port}/found.jpg" for name in names]
    assert all(map(found, download_all(urls, dns_servers=(dns.address,))))


def test_a_name_whose_first_ten_questions_are_lost_is_found(dns: DnsServer, port: int) -> None:
    assert found(download(f"http://a127-0-0-1.lost10.test:{port}/found.jpg", dns_servers=(dns.address,)))


def test_another_server_is_asked_when_one_is_dead(dns: DnsServer, port: int) -> None:
    with DnsServer() as ended:
        dead = ended.address
    urls = [f"http://a127-0-0-1.dead{n}.test:{port}/found.jpg" for n in range(20)]
    assert all(map(found, download_all(urls, dns_servers=(dead, dns.address))))


def test_a_name_server_that_is_away_for_three_seconds_costs_no_row(port: int) -> None:
    """Refused at once, which c-ares tells within the question: as an answer, and as an error too."""
    with DnsServer() as server:
        own_port = server.port
    urls = [f"http://a127-0-0-1.away{n}.test:{port}/found.jpg" for n in range(300)]
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    address = f"127.0.0.1:{own_port}"
    with Fetcher(
        # The name server is there again when its process has started, which takes longer on a busy machine.
        FetchSettings(
            dns_servers=(address,), timeout=HANG_GUARD_S, thread_count=64, adaptive_thread_count=False
        ),
        delivered.put,
    ) as fetcher:
        fetcher.submit(Row(0, index, url) for index, url in enumerate(urls))
        time.sleep(3)
        assert delivered.empty()
        with DnsServer(port=own_port):
            for _ in urls:
                fetched = delivered.get(timeout=HANG_GUARD_S)
                assert found(fetched), fetched.failure
                fetcher.release(fetched.size)


def test_servers_nobody_can_reach_say_nothing_about_a_name() -> None:
    """In a network without a way to them, where c-ares answers and raises too, with nothing sent."""
    urls = ["http://a93-184-216-34.test/"] * 2
    settings = {"dns_servers": ["198.51.100.1", "2001:db8::1"], "network_patience": 0}
    seen, after = visit(Visit(urls, settings), Visit(urls))
    assert seen.failures == ["DNS: name servers unreachable"] * 2
    assert of_text("DNS: name servers unreachable").kind.again
    assert after.failures == [None, None]


def test_an_answer_is_given_once_and_never_before_the_question_has_been_asked() -> None:
    with DnsServer() as ended:
        dead = ended.address
    transport = Transport(1)
    servers = NameServers(transport.watch, [dead], timeout_s=0.2, tries=1, longest_s=60, patient=False)
    came: list[int] = []
    for number in range(50):
        servers.ask(f"n{number}.test", "A", 0.0, lambda records, number=number: came.append(number))  # type: ignore[misc]
        servers.ask("x" * 64 + ".test", "A", 0.0, lambda records, number=number: came.append(-number))  # type: ignore[misc]
    assert came == []
    end = time.monotonic() + HANG_GUARD_S
    while len(came) < 100 and time.monotonic() < end:
        transport.wait(0.01)
        servers.look_at_clocks()
        for answered, records in servers.answers():
            answered(records)
    assert sorted(came) == sorted([*range(50), *(-number for number in range(50))])
    servers.close()
    transport.close()


def test_questions_are_spread_over_the_servers(dns: DnsServer, port: int) -> None:
    with DnsServer() as other:
        urls = [f"http://a127-0-0-1.spread{n}.test:{port}/found.jpg" for n in range(40)]
        assert all(map(found, download_all(urls, dns_servers=(other.address, dns.address))))
        assert 0 < other.questions() < 40 * ONE_LOOKUP


def test_an_answer_too_long_for_a_datagram_is_fetched_whole(dns: DnsServer, port: int) -> None:
    assert found(download(f"http://a127-0-0-1.long.test:{port}/found.jpg", dns_servers=(dns.address,)))


def test_answers_are_kept_for_their_time_to_live_within_bounds(dns: DnsServer, port: int) -> None:
    def questions_of(name: str, pause_s: float = 0.0, **settings: float) -> int:
        delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
        chosen = FetchSettings(dns_servers=(dns.address,), **settings, adaptive_thread_count=False)  # type: ignore[arg-type]
        with Fetcher(chosen, delivered.put) as fetcher:
            for index in range(3):
                fetcher.submit([Row(0, index, f"http://{name}:{port}/found.jpg")])
                fetched = delivered.get(timeout=HANG_GUARD_S)
                assert found(fetched)
                fetcher.release(fetched.size)
                time.sleep(pause_s)
        return dns.questions(name) // ONE_LOOKUP

    assert questions_of("a127-0-0-1.kept.ttl300.test", min_ttl_s=0.0) == 1
    assert questions_of("a127-0-0-1.least.ttl0.test") == 1
    assert questions_of("a127-0-0-1.short.ttl1.test", 1.1, min_ttl_s=0.0) == 3
    assert questions_of("a127-0-0-1.most.ttl300.test", 0.2, min_ttl_s=0.0, dns_max_ttl=0.1) == 3


def test_special_names_are_not_asked_for(dns: DnsServer, port: int) -> None:
    for url in (f"http://localhost:{port}/found.jpg", f"http://any.localhost:{port}/found.jpg"):
        assert found(download(url, dns_servers=(dns.address,)))
    for host in ("nowhere.invalid", "hidden.onion"):
        assert failure_of(f"http://{host}/", dns_servers=(dns.address,)) == "DNS: name not found"
    assert not any(
        dns.questions(name) for name in ("localhost", "any.localhost", "nowhere.invalid", "hidden.onion")
    )


@pytest.fixture
def ipv6_port() -> Iterator[int]:
    class Server(ThreadingHTTPServer):
        address_family = socketserver.socket.AF_INET6  # type: ignore[attr-defined]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *arguments: object) -> None:
            """Keep the output of the tests clean."""

    try:
        server = Server(("::1", 0), Handler)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_host_with_ipv6_addresses_only_is_reached(dns: DnsServer, ipv6_port: int) -> None:
    for host in ("b--1.test", "[::1]", "[0:0::0:1]"):
        assert found(download(f"http://{host}:{ipv6_port}/", dns_servers=(dns.address,)))


def test_an_address_that_does_not_answer_does_not_hide_the_others(dns: DnsServer, port: int) -> None:
    for name in ("b--1.a127-0-0-1.test", "a127-0-0-99.a127-0-0-1.test"):
        assert found(download(f"http://{name}:{port}/found.jpg", dns_servers=(dns.address,)))


def test_a_dot_at_the_end_capitals_and_a_user_name_do_not_matter(dns: DnsServer, port: int) -> None:
    for authority in ("a127-0-0-1.dot.test.", "A127-0-0-1.Dot.Test", "me:secret@a127-0-0-1.dot.test"):
        assert found(download(f"http://{authority}:{port}/found.jpg", dns_servers=(dns.address,)))


def test_a_certificate_is_held_against_the_name_and_not_the_address(
    dns: DnsServer, certificates: TestAuthority
) -> None:
    settings = {"dns_servers": (dns.address,), "ca_bundle": certificates.authority_file}
    with ImageServer(certificates.certificate("a127-0-0-1.named.test")) as server:
        url = server.url("/chunked", host="a127-0-0-1.named.test")
        assert download(url, **settings).failure is None
        assert failure_of(server.url("/chunked", host="a127-0-0-1.b.test"), **settings) == "TLS: wrong host"


def test_names_are_found_over_ipv6_too(port: int) -> None:
    try:
        server = DnsServer("::1")
    except ValueError:
        pytest.skip("this machine has no IPv6 loopback address")
    with server:
        assert found(download(f"http://a127-0-0-1.test:{port}/found.jpg", dns_servers=(server.address,)))


def new_resolver(
    dns: DnsServer, *, ipv6: bool, rules: SearchRules | None = None
) -> tuple[Transport, Resolver[int]]:
    transport = Transport(1)
    resolver: Resolver[int] = Resolver(
        transport.watch,
        servers=(dns.address,),
        timeout_s=10,
        min_ttl_s=60,
        max_ttl_s=3600,
        rules=rules or SearchRules(),
        hosts={},
        ipv6=ipv6,
    )
    return transport, resolver


def resolve_all(
    dns: DnsServer, names: list[str], *, ipv6: bool, rules: SearchRules | None = None
) -> list[Resolved]:
    """What a resolver says of ``names``, asked for at once."""
    transport, resolver = new_resolver(dns, ipv6=ipv6, rules=rules)
    now = time.monotonic()
    came = {
        index: cached for index, name in enumerate(names) if (cached := resolver.resolve(name, index, now))
    }
    while len(came) < len(names):
        transport.wait(0.01)
        resolver.turn(time.monotonic())
        came.update(resolver.answered())
        assert time.monotonic() - now < HANG_GUARD_S
    resolver.close()
    transport.close()
    return [came[index] for index in range(len(names))]


def test_all_addresses_of_both_families_are_given_to_the_connection(dns: DnsServer) -> None:
    names = ["a127-0-0-1.a127-0-0-2.b--1.test", "a127-0-0-1.brokenaaaa.test", "missing.both.test"]
    both, broken, missing = resolve_all(dns, names, ipv6=True)
    assert both == Resolved(("::1", "127.0.0.1", "127.0.0.2"))
    assert broken == Resolved(("127.0.0.1",))
    assert missing.failure == "DNS: name not found"
    assert resolve_all(dns, ["a127-0-0-1.b--1.test"], ipv6=False) == [Resolved(("127.0.0.1",))]


def test_short_names_are_completed_and_long_ones_asked_for_as_they_are(dns: DnsServer) -> None:
    rules = SearchRules(("missing.x.test", "found.test"), ndots=2)
    short, dotted, full = resolve_all(
        dns, ["a127-0-0-1", "a127-0-0-1.missing", "missing.a.test"], ipv6=False, rules=rules
    )
    assert short == Resolved(("127.0.0.1",))
    assert dotted.failure == full.failure == "DNS: name not found"
    assert dns.questions("a127-0-0-1.missing.found.test") == 1
    assert dns.questions("missing.a.test") == 1
    assert dns.questions("missing.a.test.found.test") == 0


def test_the_questions_in_flight_are_bounded(dns: DnsServer) -> None:
    names = [f"a127-0-0-1.slow900.crowd{n}.test" for n in range(MOST_QUESTIONS + 200)]
    assert {resolved.failure for resolved in resolve_all(dns, names, ipv6=False)} == {None}
    assert 100 < dns.peak() <= MOST_QUESTIONS


def test_time_that_the_program_stood_still_is_not_the_servers(dns: DnsServer) -> None:
    transport, resolver = new_resolver(dns, ipv6=False)
    now = time.monotonic()
    assert resolver.resolve("silent.suspended.test", 0, now) is None
    resolver.turn(now + 1000)
    assert list(resolver.answered()) == []
    for second in range(1001, 1012):
        resolver.turn(now + second)
        resolver.turn(now + second + 0.5)
    assert [resolved.failure for _, resolved in resolver.answered()] == ["DNS: timeout"]
    resolver.close()
    transport.close()


def test_rows_that_wait_for_a_name_can_be_called_off_and_leave_nothing_open(
    dns: DnsServer, port: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    settings = FetchSettings(
        thread_count=4, dns_servers=(dns.address,), timeout=HANG_GUARD_S, adaptive_thread_count=False
    )
    with Fetcher(settings, delivered.put) as fetcher:
        fetcher.submit(Row(1, index, f"http://silent.s{index}.test/") for index in range(4))
        while fetcher.in_flight < 4:
            time.sleep(0.01)
        fetcher.forget(1)
        fetcher.submit([Row(2, 0, f"http://a127-0-0-1.after.test:{port}/found.jpg")])
        fetched = delivered.get(timeout=HANG_GUARD_S)
        assert (fetched.row.shard_id, fetched.body) == (2, BODY)
        fetcher.release(fetched.size)
        assert fetcher.held_bytes == 0
        fetcher.submit(Row(3, index, f"http://silent.t{index}.test/") for index in range(4))
        while fetcher.in_flight < 4:
            time.sleep(0.01)
    assert delivered.empty()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_without_a_name_server_the_system_resolves_and_one_warning_says_so() -> None:
    seen, again = visit(
        Visit(["http://localhost/1"]), Visit(["http://localhost/2"]), resolver_file="# nobody\n"
    )
    assert (seen.failures, again.failures) == ([None], [None])
    assert len(seen.warnings) == 1
    assert "no name server is set in /etc/resolv.conf" in seen.warnings[0]
    assert again.warnings == []


@pytest.mark.parametrize(
    "chosen",
    [
        {"dns_servers": ("dns.example",)},
        {"dns_servers": ("192.0.2.1:0",)},
        {"dns_servers": ("2001:db8::1:53x",)},
        {"allow_schemes": ("file:",)},
    ],
)
def test_a_wrong_choice_is_named_with_its_value(chosen: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(reversed(chosen))):
        FetchSettings(**chosen)  # type: ignore[arg-type]

"""robots.txt and the TDM Reservation Protocol: sites that say no are left out, against real servers."""

from __future__ import annotations

import queue
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from img2dataset.failures import of_status
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.consent.robots_txt import RobotsTxt
from img2dataset.fetching.consent.site_files import (
    FAILURE_KEPT_S,
    KEPT_S,
    REMEMBERED_FILES,
    Consent,
    SiteFiles,
    site_of,
)
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S, download, download_all, failure_of
from tests.servers import ImageServer

FORBIDDEN = "opt-out: robots.txt"
UNAVAILABLE = "opt-out: robots.txt unavailable"


@pytest.fixture
def site() -> Iterator[ImageServer]:
    """A server of its own, with a picture."""
    with ImageServer() as server:
        server.put("/in/a.jpg", b"picture")
        server.put("/out/a.jpg", b"picture")
        yield server


def put_robots(site: ImageServer, *lines: str, **answer: Any) -> None:
    site.put("/robots.txt", "\n".join([*lines, ""]).encode(), "text/plain", **answer)


def arrive(files: SiteFiles[str], count: int) -> None:
    """Wait until so many files have arrived: long ones are parsed on a thread."""
    arrived = 0
    while arrived < count:
        arrived += len(files.arrived(0.0))


def failures_of(site: ImageServer, *paths: str, **settings: Any) -> list[str | None]:
    settings = {"respect_robots_txt": True, **settings}
    return [outcome.failure for outcome in download_all([site.url(path) for path in paths], **settings)]


def test_it_is_not_asked_for_unless_the_user_wants_it(site: ImageServer) -> None:
    put_robots(site, "User-agent: *", "Disallow: /")
    assert failure_of(site.url("/in/a.jpg")) is None
    assert site.count("/robots.txt") == 0


def test_what_it_forbids_is_not_requested_and_it_is_asked_for_once(site: ImageServer) -> None:
    put_robots(site, "User-agent: *", "Disallow: /out", "Allow: /out/but")
    site.put("/out/but.jpg", b"picture")
    paths = [f"{path}?{n}" for n in range(100) for path in ("/in/a.jpg", "/out/a.jpg", "/out/but.jpg")]
    assert failures_of(site, *paths) == [None, FORBIDDEN, None] * 100
    assert (site.count("/robots.txt"), site.count("/out/a.jpg")) == (1, 0)


@pytest.mark.parametrize(
    ("lines", "token", "allowed"),
    [
        (["User-agent: img2dataset", "Disallow: /"], None, False),
        (["User-agent: IMG2Dataset", "Disallow: /"], None, False),
        (["User-agent: img2dataset", "Disallow: /"], "mybot", True),
        (["User-agent: mybot", "Disallow: /"], "MyBot", False),
        (["User-agent: *", "Disallow: /", "User-agent: mybot", "Allow: /"], "mybot", True),
        (["User-agent: otherbot", "Disallow: /"], None, True),
        (["User-agent: *", "Disallow:"], None, True),
        (["User-agent: *", "Disallow: /*.jpg$"], None, False),
        (["User-agent: *", "Disallow: /i%6E/"], None, False),
        (["\ufeffUser-agent: *", "Disallow: /"], None, False),
        ([], None, True),
    ],
)
def test_the_rules_for_our_name_hold(
    site: ImageServer, lines: list[str], token: str | None, allowed: bool
) -> None:
    put_robots(site, *lines)
    assert failures_of(site, "/in/a.jpg", user_agent_token=token) == [None if allowed else FORBIDDEN]


@pytest.mark.parametrize(
    ("status", "failure"),
    [(404, None), (403, None), (401, None), (410, None), (500, UNAVAILABLE), (204, None)],
)
def test_a_missing_file_allows_and_one_that_cannot_be_had_forbids(
    site: ImageServer, status: int, failure: str | None
) -> None:
    put_robots(site, "User-agent: *", "Disallow: /", status=status)
    assert failures_of(site, "/in/a.jpg", "/out/a.jpg") == [failure, failure]
    assert site.count("/robots.txt") == 1


def test_a_file_that_hangs_forbids_after_the_timeout(image_server: ImageServer, site: ImageServer) -> None:
    hanging = quote(image_server.url("/hang-before-headers"))
    put_robots(site, status=302, headers=[("Location", image_server.url(f"/redirect?to={hanging}"))])
    assert failures_of(site, "/in/a.jpg", timeout=0.5) == [UNAVAILABLE]


def test_a_file_that_is_limited_for_a_moment_is_asked_for_again(site: ImageServer) -> None:
    flaky = quote("/flaky/robots?fail=1&status=429&line=Retry-After:%201")
    put_robots(site, status=302, headers=[("Location", f"/redirect?to={flaky}")])
    assert failures_of(site, "/in/a.jpg") == [None]
    assert site.count("/flaky/robots") == 2


def test_a_dead_host_is_a_dead_host() -> None:
    with socket.socket() as held:  # bound, so that nobody else can listen there
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/a.jpg"
        outcomes = download_all([url] * 3, respect_robots_txt=True)
    assert {outcome.failure for outcome in outcomes} == {"connection: refused"}


def test_five_redirects_of_it_are_followed_and_six_are_none(site: ImageServer) -> None:
    site.put("/rules", b"User-agent: *\nDisallow: /out\n")
    for hops, failure in ((5, FORBIDDEN), (6, None)):
        for hop in range(hops):
            target = f"/hop{hop + 1}" if hop + 1 < hops else "/rules"
            path = f"/hop{hop}" if hop else "/robots.txt"
            site.put(path, b"on", status=301, headers=[("Location", target)])
        assert failures_of(site, "/out/a.jpg") == [failure]


def test_what_is_beyond_the_limit_of_size_is_not_read(site: ImageServer) -> None:
    filler = b"# filler\n" * (LARGEST_BYTES // 9 + 1)
    rules = b"User-agent: *\nDisallow: /out\n"
    site.put("/robots.txt", rules + filler * 4 + b"Disallow: /in\n", "text/plain")
    assert failures_of(site, "/out/a.jpg", "/in/a.jpg") == [FORBIDDEN, None]


def test_a_line_cut_in_half_by_the_limit_is_not_a_rule() -> None:
    robots: SiteFiles[str] = SiteFiles((RobotsTxt(None),))
    start = b"User-agent: *\nDisallow: /"
    body = b"#" * (LARGEST_BYTES - len(start) - 1) + b"\n" + start + b"only-this\n"
    robots.learned("http://a.example/robots.txt", body, None, 0.0)
    arrive(robots, 1)
    assert robots.judge("http://a.example/x", 0.0) == Consent()


def test_the_target_of_a_redirect_has_its_say(site: ImageServer, image_server: ImageServer) -> None:
    put_robots(site, "User-agent: *", "Disallow: /out")
    for path, failure in (("/in/a.jpg", None), ("/out/a.jpg", FORBIDDEN)):
        url = image_server.url(f"/redirect?to={quote(site.url(path))}")
        assert failure_of(url, respect_robots_txt=True) == failure
    assert site.count("/out/a.jpg") == 0


def test_rows_that_wait_for_it_hold_no_transfer(site: ImageServer, image_server: ImageServer) -> None:
    # It is answered when all rows of the other site have been asked for.
    held = image_server.url("/held?path=/meanwhile.jpg&times=50")
    put_robots(site, status=302, headers=[("Location", held)])
    good = image_server.put("/meanwhile.jpg", b"meanwhile")
    urls = [site.url(f"/in/a.jpg?{n}") for n in range(50)] + [f"{good}?{n}" for n in range(50)]
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(
            thread_count=2, timeout=HANG_GUARD_S, respect_robots_txt=True, adaptive_thread_count=False
        ),
        delivered.put,
    ) as fetcher:
        fetcher.submit(Row(0, index, url) for index, url in enumerate(urls))
        order = []
        for _ in urls:
            fetched = delivered.get(timeout=HANG_GUARD_S)
            fetcher.release(fetched.size)
            order.append(fetched.row.index)
            assert fetched.failure is None
    assert set(order[:50]) == set(range(50, 100))


def test_rows_that_wait_for_it_can_be_called_off(site: ImageServer, image_server: ImageServer) -> None:
    # It is answered when the test asks for another path.
    held = image_server.url("/held?path=/called-off")
    put_robots(site, status=302, headers=[("Location", held)])
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(timeout=HANG_GUARD_S, respect_robots_txt=True, adaptive_thread_count=False),
        delivered.put,
    ) as fetcher:
        fetcher.submit(Row(1, index, site.url("/in/a.jpg")) for index in range(20))
        while not fetcher.in_flight:
            pass
        fetcher.forget(1)
        fetcher.submit([Row(2, 0, site.url("/in/a.jpg"))])
        urllib.request.urlopen(image_server.put("/called-off", b"go on"), timeout=HANG_GUARD_S).close()
        assert delivered.get(timeout=HANG_GUARD_S).row == Row(2, 0, site.url("/in/a.jpg"))
        assert delivered.empty()
    assert site.count("/robots.txt") == 1


def test_its_crawl_delay_is_a_rate(site: ImageServer) -> None:
    put_robots(site, "User-agent: *", "Crawl-delay: 0.2")
    began = time.monotonic()
    failures_of(site, *[f"/limited/delay?per_second=1000&{n}" for n in range(8)])
    times = sorted(site.times("/limited/delay"))
    assert len(times) == 8
    # On a busy machine a request may be seen late, and the next one in time; none is seen too early.
    assert [moment for index, moment in enumerate(times) if moment - began < index * 0.2] == []


def test_it_goes_through_the_bound_of_its_host(site: ImageServer) -> None:
    put_robots(site, "User-agent: *", "Disallow:")
    failures_of(site, *[f"/in/a.jpg?{n}" for n in range(30)], max_connections_per_host=1, thread_count=8)
    assert site.statistics()["peak"] == 1


def test_a_site_is_a_scheme_a_host_and_a_port() -> None:
    assert site_of("HTTP://A.Example:80/x".replace("HTTP", "http")) == "http://a.example:80"
    assert site_of("https://me:mine@a.example/x@y") == "https://a.example"


def test_what_is_known_ends_after_a_day_and_a_failure_after_minutes() -> None:
    robots: SiteFiles[str] = SiteFiles((RobotsTxt(None),))
    robots.learned("http://a.example/robots.txt", b"User-agent: *\nDisallow: /x\n", None, 0.0)
    robots.learned("http://b.example/robots.txt", None, of_status(500), 0.0)
    assert robots.judge("http://a.example/x", KEPT_S - 1) == Consent(FORBIDDEN)
    assert robots.judge("http://a.example/x", KEPT_S) == Consent(None, "http://a.example/robots.txt")
    assert robots.judge("http://b.example/x", FAILURE_KEPT_S - 1) == Consent(UNAVAILABLE)
    assert robots.judge("http://b.example/x", FAILURE_KEPT_S).ask_first == "http://b.example/robots.txt"


def test_what_is_remembered_is_bounded_in_number_and_size() -> None:
    robots: SiteFiles[str] = SiteFiles((RobotsTxt(None),))
    for n in range(REMEMBERED_FILES + 10):
        robots.learned(f"http://{n}.example/robots.txt", None, of_status(404), 0.0)
    assert len(robots._kept) == REMEMBERED_FILES
    for n in range(40):
        robots.learned(f"http://large{n}.example/robots.txt", b"#" * LARGEST_BYTES, None, 0.0)
    arrive(robots, REMEMBERED_FILES + 10 + 40)
    assert 15 << 20 < robots._size <= 16 << 20


@pytest.mark.parametrize(
    ("header", "respect", "failure"),
    [("1", True, "opt-out: TDM reservation"), ("0", True, None), ("1", False, None), (None, True, None)],
)
def test_a_tdm_reservation_is_an_opt_out_when_asked_for(
    image_server: ImageServer, header: str | None, respect: bool, failure: str | None
) -> None:
    headers = [("TDM-Reservation", header)] if header is not None else []
    url = image_server.put(f"/tdm-{header}-{respect}.jpg", b"picture", headers=headers)
    assert failure_of(url, respect_tdm=respect) == failure


def test_the_user_agent_tells_whom_to_write_to(image_server: ImageServer) -> None:
    url = image_server.put("/contact.jpg", b"picture")
    download(url, user_agent_token="mybot", contact="crawl@lab.example")
    request = image_server.last_request("/contact.jpg") or ""
    assert "(mybot; contact: crawl@lab.example; +https://" in request

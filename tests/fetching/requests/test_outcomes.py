"""Whether and when there is another try, as a pure function."""

from __future__ import annotations

import pytest

from img2dataset.failures import of_text
from img2dataset.fetching.hosts.states import LONGEST_RETRY_AFTER_S
from img2dataset.fetching.requests.ledger import Download, Redirects
from img2dataset.fetching.requests.outcomes import (
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    delay_before_retry,
    led_to_file,
    parse_retry_after,
)
from img2dataset.types import Row


def longest(failure: str, tries: int, retries: int, retry_after_s: float | None = None) -> float | None:
    return delay_before_retry(of_text(failure), tries, retries, retry_after_s, lambda: 1.0)


@pytest.mark.parametrize(
    "failure",
    [
        *("timeout: connect", "timeout: silence", "timeout: too slow", "timeout: deadline"),
        *("DNS: temporary failure", "connection: refused", "connection: reset", "connection: closed early"),
        *("TLS: handshake", "HTTP 408", "HTTP 425", "HTTP 429", "HTTP 500", "HTTP 503", "HTTP 599"),
    ],
)
def test_what_can_pass_is_tried_again(failure: str) -> None:
    assert longest(failure, 1, 1) is not None
    assert longest(failure, 2, 1) is None
    assert longest(failure, 1, 0) is None


@pytest.mark.parametrize(
    "failure",
    [
        *("HTTP 400", "HTTP 403", "HTTP 404", "HTTP 410", "DNS: name not found", "TLS: certificate expired"),
        *("opt-out: X-Robots-Tag", "too large: body", "empty body", "scheme: file not allowed"),
        *("invalid url: host", "redirect: too many", "encoding: unknown", "protocol: not HTTP"),
    ],
)
def test_what_will_stay_is_not_tried_again(failure: str) -> None:
    assert longest(failure, 1, 10) is None


def test_the_wait_doubles_up_to_a_bound_and_is_spread_from_nothing_to_all_of_it() -> None:
    waits = [longest("timeout: connect", tries, 100) for tries in range(1, 100)]
    assert waits[:4] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S, 8 * FIRST_DELAY_S]
    assert waits[-1] == LONGEST_DELAY_S
    assert delay_before_retry(of_text("timeout: connect"), 5, 9, None, lambda: 0.0) == 0.0


def test_the_server_may_ask_for_a_longer_wait_but_not_for_any() -> None:
    wait = longest("HTTP 429", 1, 1, 20.0)
    assert wait is not None
    assert 20.0 <= wait <= 21.0
    assert longest("HTTP 429", 1, 1, LONGEST_RETRY_AFTER_S + 1) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Thu, 01 Jan 1970 00:17:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo 2020 99:99:99 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, 1000.0) == seconds


@pytest.mark.parametrize(
    ("uri", "file_uri", "after_public", "expected"),
    [
        ("http://a.example/a", "http://a.example/robots.txt", False, Redirects()),
        ("http://10.0.0.1/a", "http://10.0.0.1/robots.txt", False, Redirects()),
        ("http://10.0.0.1/a", "http://10.0.0.1/robots.txt", True, Redirects(after_public=True)),
        ("https://a.example/a", "https://a.example/l.xml", False, Redirects()),
        ("http://a.example/a", "http://10.0.0.1/l.xml", False, Redirects(foreign=True, after_public=True)),
        ("https://a.example/a", "http://a.example/l.xml", False, Redirects(foreign=True, after_public=True)),
        ("http://10.0.0.1/a", "http://10.0.0.2/l.xml", False, Redirects(foreign=True)),
        ("http://10.0.0.1/a", "http://10.0.0.2/l.xml", True, Redirects(foreign=True, after_public=True)),
    ],
)
def test_a_site_s_file_may_be_no_further_than_a_redirect(
    uri: str, file_uri: str, after_public: bool, expected: Redirects
) -> None:
    waiting = Download(Row(0, 0, uri), uri=uri, redirects=Redirects(after_public=after_public))
    assert led_to_file(waiting, file_uri, file_uri.endswith("l.xml")) == expected

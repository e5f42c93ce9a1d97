"""What must hold of any text that a server or a list can send: URLs, directives, delays, header blocks.

Bytes go in; a broken promise raises. Called by the fuzzers and, with what they once found, by the tests.
"""

from __future__ import annotations

import math
import re

from img2dataset.failures import OPT_OUT_ROBOTS_TXT, of_status
from img2dataset.fetching import FetchSettings
from img2dataset.fetching.consent import wanted_headers
from img2dataset.fetching.consent.robots_txt import LONGEST_CRAWL_DELAY_S, RobotsTxt
from img2dataset.fetching.consent.x_robots_tag import is_opted_out
from img2dataset.fetching.hosts.states import LONGEST_RETRY_AFTER_S
from img2dataset.fetching.http.response_head import AnswerPolicy, read_answer
from img2dataset.fetching.requests.outcomes import (
    LONGEST_DELAY_S,
    delay_before_retry,
    parse_retry_after,
)
from img2dataset.fetching.urls import UrlRefused, decode_data_url, host_and_port, redirect_target, to_uri

REFUSALS = re.compile(
    r"invalid url: [A-Za-z ]+|scheme: ([a-z0-9]+ )?not allowed|too large: [a-z]+|[a-z]+: [a-z ]+|empty[ a-z]*"
)
DISALLOWED = ("noai", "noimageai", "noindex", "noimageindex")
_BASE = "https://example.com/folder/a.jpg?x=0"
_NOW = 1_700_000_000.0
_SETTINGS = FetchSettings(disallowed_header_directives=DISALLOWED, user_agent_token="mybot", respect_tdm=True)
_POLICY = AnswerPolicy(1000, wanted_headers(_SETTINGS))


def check_robots_tag(data: bytes) -> None:
    """Each line counts alone, an own line is always heard, and an empty list of directives accepts all."""
    lines = data.decode("latin-1").split("\n")
    for token in (None, "mybot"):
        each = [is_opted_out([line], DISALLOWED, token) for line in lines]
        assert is_opted_out(lines, DISALLOWED, token) == any(each)
        assert is_opted_out([*lines, "noai"], DISALLOWED, token)
        assert not is_opted_out(lines, (), token)
        assert [is_opted_out([line.upper()], DISALLOWED, token) for line in lines if line.isascii()] == [
            out for line, out in zip(lines, each, strict=True) if line.isascii()
        ]


def check_robots_txt(data: bytes) -> None:
    """Any file can be read; the other ends of lines and the other case of names change nothing."""
    rules, same = RobotsTxt("mybot").parse(data), RobotsTxt("MyBot").parse(data.replace(b"\n", b"\r\n"))
    assert 0 <= rules.delay_s <= LONGEST_CRAWL_DELAY_S
    paths = [line.partition(":")[2].strip() for line in data.decode("utf-8", "replace").split("\n")[:20]]
    for path in ("/", "/a/b.jpg?x=1", *(path for path in paths if path.startswith("/"))):
        refusal = rules.refusal(f"http://a.example{path}")
        assert refusal in (None, OPT_OUT_ROBOTS_TXT)
        assert refusal == same.refusal(f"http://a.example{path}")
    assert rules.refusal("http://a.example/robots.txt") is None


def check_retry_after(data: bytes) -> None:
    """A delay is a finite number of seconds and not negative; a row is never held longer than allowed."""
    seconds = parse_retry_after(data.decode("latin-1"), _NOW)
    if seconds is not None:
        assert math.isfinite(seconds)
        assert seconds >= 0
    delay = delay_before_retry(of_status(503), 1, 3, seconds, lambda: 0.99)
    assert delay is None or 0 <= delay <= LONGEST_RETRY_AFTER_S + LONGEST_DELAY_S


def check_url(data: bytes) -> None:
    """One safe line goes out, the same when it is read again, or a text of the small language."""
    # A list can hold half of a surrogate pair: JSON has an escape for it.
    text = data.decode("utf-8", "surrogateescape")
    try:
        uri = to_uri(text)
    except UrlRefused as refusal:
        _check_text(str(refusal))
    else:
        if uri.startswith("data:") or uri[:5].lower() == "data:":
            _check_data_url(uri)
        else:
            _check_uri(uri)
    try:
        target = redirect_target(_BASE, data)
    except UrlRefused as refusal:
        _check_text(str(refusal))
    else:
        _check_uri(target)


def _check_text(refusal: str) -> None:
    assert REFUSALS.fullmatch(refusal), refusal


def _check_uri(uri: str) -> None:
    assert re.fullmatch(r"[Hh][Tt][Tt][Pp][Ss]?://[!-~]+", uri), uri
    assert "#" not in uri
    assert to_uri(uri) == uri
    host, port = host_and_port(uri)
    assert re.fullmatch(r"\[[0-9a-f:.]+\]|[A-Za-z0-9._~-]+", host), host
    assert 0 <= port <= 65_535


def _check_data_url(url: str) -> None:
    try:
        body = decode_data_url(url, 1000)
    except UrlRefused as refusal:
        _check_text(str(refusal))
    else:
        assert 0 < len(body) <= 1000


def check_answer(head: bytes) -> None:
    """A header block is judged, with a failure of the small language or none, whatever stands in it."""
    answer = read_answer(head, _POLICY)
    if answer is None:
        return
    if answer.failure is not None:
        assert re.fullmatch(r"[ -~]{1,60}", answer.failure), answer.failure
    assert answer.length is None or answer.length >= 0
    # An empty one asks again, with the cookies of this answer.
    assert answer.location is None or b"\n" not in answer.location
    assert answer == read_answer(bytearray(head), _POLICY)
    if answer.retry_after is not None:
        check_retry_after(answer.retry_after.encode("latin-1"))

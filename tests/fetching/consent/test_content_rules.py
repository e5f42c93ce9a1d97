"""Content-Signal and Content-Usage in robots.txt, and tdmrep.json: what sites say of training by path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.consent.robots_txt import RobotsTxt
from img2dataset.fetching.consent.tdmrep_json import TdmrepJson
from tests.fetching.download_all import download_all
from tests.servers import ImageServer

SIGNAL, USAGE = "opt-out: Content-Signal", "opt-out: Content-Usage"
ROBOTS, TDMREP = "opt-out: robots.txt", "opt-out: tdmrep.json"
STRICT = {"consent": "strict", "respect_robots_txt": True, "respect_tdm": True}
TDMREP_PATH = "/.well-known/tdmrep.json"


def said_by_robots(*lines: str, path: str = "/x/a.jpg", counts: bool = True) -> str | None:
    file = RobotsTxt(None, honours_content_rules=counts)
    return file.parse("\n".join(lines).encode()).refusal(f"https://example.org{path}")


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        (["Content-Signal: ai-train=no"], SIGNAL),
        (["content-signal:search=yes,ai-train=no"], SIGNAL),
        (["Content-Signal: search=yes, AI-Train = NO, ai-input=yes"], SIGNAL),
        (["Content-Signal: ai-train=yes", "Content-Signal: ai-train=no"], SIGNAL),
        (["Content-Signal: ai-train=no", "Content-Signal: ai-train=yes"], SIGNAL),
        (["Content-Signal: ai-train=no, ai-train=yes"], SIGNAL),
        (["Content-Signal: /x ai-train=no"], SIGNAL),
        (["Content-Signal: ai-train=no", "Content-Signal: /x/ ai-train=yes"], None),
        (["Content-Signal: /y ai-train=no"], None),
        (["Content-Signal: ai-train=yes"], None),
        (["Content-Signal: search=no, ai-input=no"], None),
        (["Content-Signal: ai-train=perhaps"], None),
        (["Content-Signal: ai-train"], None),
        (["Content-Signal: no-ai-train=no"], None),
        (["Content-Signal:"], None),
        (["Content-Usage: train-ai=n"], USAGE),
        (["Content-Usage: /x/ train-ai=n"], USAGE),
        (["Content-Usage: /*.jpg$ search=y, train-ai=n"], USAGE),
        (["Content-Usage: train-ai=y", "Content-Usage: /x train-ai=n"], USAGE),
        (["Content-Usage: /x train-ai=n", "Content-Usage: /x train-ai=y"], USAGE),
        (["Content-Usage: train-ai=n", "Content-Usage: /x train-ai=y"], None),
        # One that says nothing known of training leaves what a shorter one says.
        (["Content-Usage: train-ai=n", "Content-Usage: /x search=y"], USAGE),
        (["Content-Usage: /x train-ai"], None),
        (["Content-Usage: /x"], None),
        (["Content-Usage: ai=n;"], None),
        (["Content-Signal: ai-train=yes", "Content-Usage: train-ai=n"], USAGE),
        (["Content-Signal: ai-train=no", "Content-Usage: train-ai=y"], SIGNAL),
        (["Disallow: /x", "Content-Signal: ai-train=yes"], ROBOTS),
        (["Allow: /x", "Content-Signal: ai-train=no"], SIGNAL),
    ],
)
def test_the_longest_rule_about_training_counts_and_of_equals_the_most_restrictive(
    lines: list[str], refusal: str | None
) -> None:
    assert said_by_robots("User-agent: *", *lines) == refusal
    if refusal != ROBOTS:
        assert said_by_robots("User-agent: *", *lines, counts=False) is None


def test_a_rule_about_training_is_of_its_group_and_ends_its_names() -> None:
    managed = [
        "User-agent: *",
        "Content-Signal: search=yes,ai-train=no",
        "",
        "User-agent: otherbot",
        "Disallow: /",
    ]
    assert said_by_robots(*managed) == SIGNAL
    usage = ["User-agent: *", "Content-Usage: train-ai=y", "User-agent: otherbot", "Disallow: /"]
    assert said_by_robots(*usage) is None
    assert said_by_robots("User-agent: otherbot", "Content-Signal: ai-train=no") is None
    assert said_by_robots("Content-Signal: ai-train=no") is None
    ours = ["User-agent: *", "Content-Usage: train-ai=n", "User-agent: img2dataset", "Allow: /"]
    assert said_by_robots(*ours) is None


def said_by_tdmrep(said: Any, path: str = "/x/a.jpg") -> str | None:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return TdmrepJson().parse(body).refusal(f"https://example.org{path}")


def entry(location: Any, value: Any) -> dict[str, Any]:
    return {"location": location, "tdm-reservation": value, "tdm-policy": "https://example.org/policy"}


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ([entry("/", 1)], TDMREP),
        ([entry("/*", 1)], TDMREP),
        ([entry("/x/*.jpg$", 1)], TDMREP),
        ([entry("/x/", "1")], TDMREP),
        ([entry("/", 0), entry("/x", 1)], TDMREP),
        ([entry("/x", 0), entry("/x", 1)], TDMREP),
        ([entry("/x", 1), entry("/x", 0)], TDMREP),
        ([entry("/", 1), entry("/x/", 0)], None),
        ([entry("/y", 1)], None),
        ([entry("/", 0)], None),
        ([entry("/", True)], None),
        ([entry("/", 2)], None),
        ([entry("/", None)], None),
        ([entry("/", [1])], None),
        ([entry(None, 1)], None),
        ([entry(["/"], 1)], None),
        ([{"tdm-reservation": 1}, 5, None, "/", entry("x", 1)], None),
        (entry("/", 1), None),
        ([], None),
        (b"", None),
        (b"<html>", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b"1" * 5000, None),
        (b"\xef\xbb\xbf" + json.dumps([entry("/", 1)]).encode(), TDMREP),
    ],
)
def test_tdmrep_json_reserves_by_the_longest_location(said: Any, refusal: str | None) -> None:
    assert said_by_tdmrep(said) == refusal


def test_a_tdmrep_json_may_be_nested_to_any_depth() -> None:
    # Just below the depth that Python's own parser ends at, and where that is moves with the caller's depth.
    for depth in range(900, 1010):
        nested = b"[" * depth + b"]" * depth
        body = b'[{"location": "/", "tdm-reservation": %s}]' % nested
        assert said_by_tdmrep(body) is None


@pytest.fixture
def site() -> Iterator[ImageServer]:
    """A server of its own, with pictures."""
    with ImageServer() as server:
        for path in ("/in/a.jpg", "/out/a.jpg"):
            server.put(path, b"picture")
        yield server


def failures_of(site: ImageServer, **settings: Any) -> list[str | None]:
    urls = [site.url(f"{path}?{number}") for number in range(20) for path in ("/in/a.jpg", "/out/a.jpg")]
    failures = [outcome.failure for outcome in download_all(urls, **settings)]
    assert failures == failures[:2] * 20
    return failures[:2]


@pytest.mark.parametrize(
    ("robots", "tdmrep", "expected"),
    [
        ("User-agent: *\nContent-Signal: /out ai-train=no", None, SIGNAL),
        ("User-agent: *\nContent-Usage: /out train-ai=n", None, USAGE),
        (None, [entry("/out/*", 1)], TDMREP),
        ("User-agent: *\nAllow: /\nContent-Signal: ai-train=yes", [entry("/out", 1)], TDMREP),
        ("User-agent: *\nDisallow: /out", [entry("/out", 1)], ROBOTS),
        ("User-agent: *\nContent-Usage: /out train-ai=n", [entry("/", 0)], USAGE),
        (None, None, None),
    ],
)
def test_each_file_of_a_site_is_asked_for_once_and_the_most_restrictive_counts(
    site: ImageServer, robots: str | None, tdmrep: Any, expected: str | None
) -> None:
    if robots is not None:
        site.put("/robots.txt", robots.encode(), "text/plain")
    if tdmrep is not None:
        site.put(TDMREP_PATH, json.dumps(tdmrep).encode(), "application/json")
    assert failures_of(site, **STRICT) == [None, expected]
    assert (site.count("/robots.txt"), site.count(TDMREP_PATH)) == (1, 1)
    assert site.count("/out/a.jpg") == (20 if expected is None else 0)


def test_with_consent_off_robots_txt_says_what_may_be_fetched_and_no_more(site: ImageServer) -> None:
    site.put("/robots.txt", b"User-agent: *\nContent-Signal: ai-train=no\nDisallow: /out", "text/plain")
    site.put(TDMREP_PATH, json.dumps([entry("/", 1)]).encode())
    assert failures_of(site, consent="off", respect_robots_txt=True, respect_tdm=True) == [None, ROBOTS]
    assert failures_of(site, consent="usual", respect_robots_txt=True) == [SIGNAL, ROBOTS]
    assert site.count(TDMREP_PATH) == 0


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 404}, {"status": 402}, {"body": b"{"}])
def test_a_tdmrep_json_that_cannot_be_had_or_read_is_no_refusal(
    site: ImageServer, answer: dict[str, Any]
) -> None:
    site.put(TDMREP_PATH, answer.pop("body", b"no"), **answer)
    assert failures_of(site, **STRICT) == [None, None]
    assert site.count(TDMREP_PATH) == 1


def test_a_tdmrep_json_beyond_the_limit_of_size_is_not_read(site: ImageServer) -> None:
    body = json.dumps([entry("/", 1), "x" * (2 * LARGEST_BYTES)]).encode()
    site.put(TDMREP_PATH, body, "application/json")
    assert failures_of(site, **STRICT) == [None, None]

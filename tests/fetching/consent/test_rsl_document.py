"""Licences of RSL 1.0: what they say of a URI, and whatever else stands where one should."""

from __future__ import annotations

import pytest

from img2dataset import failures
from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.consent.rsl_document import RslDocument

RSL = '<rsl xmlns="https://rslstandard.org/rsl">{}</rsl>'
PICTURE = "http://a.example/pictures/a.jpg"


def said(document: str, uri: str = PICTURE) -> list[tuple[str, str]]:
    rules = RslDocument().parse(document.encode())
    refusal = rules.refusal(uri)
    lines = [(each.says, each.value) for each in rules.said(uri)]
    assert (refusal is not None) == any(says == "no" for says, _ in lines)
    assert refusal in (None, failures.OPT_OUT_RSL)
    return lines


def content(url: str, *licences: str) -> str:
    return f'<content url="{url}">{"".join(f"<license>{each}</license>" for each in licences)}</content>'


def prohibits(uses: str) -> str:
    return f'<prohibits type="usage">{uses}</prohibits>'


def permits(uses: str) -> str:
    return f'<permits type="usage">{uses}</permits>'


@pytest.mark.parametrize(
    ("licence", "says"),
    [
        (prohibits("ai-train"), "no"),
        (prohibits("all"), "no"),
        (prohibits("ai-all"), "no"),
        (prohibits("train-ai"), "no"),
        (prohibits("search, ai-train"), "no"),
        (prohibits(" AI-Train\n"), "no"),
        (permits("search") + prohibits("ai-train"), "no"),
        (permits("ai-train"), "yes"),
        (permits("all") + '<payment type="free"/>', "yes"),
        (
            permits("ai-all") + '<payment type="crawl"><amount currency="USD">1</amount></payment>',
            "conditions",
        ),
        (permits("ai-train") + "<payment/>", "conditions"),
        (permits("ai-train") + '<permits type="geo">EU</permits>', "conditions"),
        (permits("ai-train") + '<permits type="user">non-commercial</permits>', "conditions"),
        (permits("search"), "conditions"),
        (prohibits("ai-input"), "unknown"),
        ('<prohibits type="geo">ai-train</prohibits>', "unknown"),
        ("<prohibits>ai-train</prohibits>", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_licence_says_what_its_uses_say(licence: str, says: str) -> None:
    [(found, _)] = said(RSL.format(content("/", licence)))
    assert found == says


def test_the_longest_url_counts_and_of_its_licences_the_most_restrictive() -> None:
    document = RSL.format(
        content("/", permits("ai-train"))
        + content("/pictures", prohibits("ai-train"))
        + content("/pictures/*.png", permits("ai-train"), permits("search"))
    )
    assert said(document) == [("no", "/pictures prohibits ai-train")]
    assert said(document, "http://a.example/b.jpg") == [("yes", "/ permits ai-train")]
    png = said(document, "http://a.example/pictures/a.png")
    assert png == [("conditions", "/pictures/*.png permits search")]


def test_a_url_with_a_host_speaks_of_that_host_alone() -> None:
    document = RSL.format(
        content("https://A.example/pictures/", prohibits("all"))
        + content("https://b.example", prohibits("all"))
    )
    assert said(document) == [("no", "/pictures/ prohibits all")]
    assert said(document, "http://b.example/a.jpg") == [("no", "/ prohibits all")]
    assert said(document, "http://c.example/pictures/a.jpg") == []


def test_the_namespace_may_be_missing_or_have_a_prefix() -> None:
    bare = "<rsl>" + content("/", prohibits("all")) + "</rsl>"
    prefixed = (
        '<r:rsl xmlns:r="https://rslstandard.org/rsl"><r:content url="/"><r:license>'
        '<r:prohibits type="usage">all</r:prohibits></r:license></r:content></r:rsl>'
    )
    assert said(bare) == said(prefixed) == [("no", "/ prohibits all")]


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


# Each in all those before it. Where everything below each is looked through, it takes hours.
OPENED = "<content url='/'><license><permits>"
CLOSED = "</permits></license></content>"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no XML",
        b"\xff\xfe\x00",
        b"<rsl><content url='/'>",
        b'<?xml version="1.0" encoding="none-such"?><rsl/>',
        b"<html><body>Not found</body></html>",
        f'<!DOCTYPE rsl [<!ENTITY a0 "a">{LAUGHS}]><rsl>&a9;</rsl>'.encode(),
        b'<!DOCTYPE rsl [<!ENTITY a SYSTEM "file:///etc/passwd">]><rsl>&a;</rsl>',
        b"<rsl>" + b"<content>" * 20_000 + b"</content>" * 20_000 + b"</rsl>",
        f"<rsl>{OPENED * 5_000}{CLOSED * 5_000}</rsl>".encode(),
        f'<!DOCTYPE rsl [<!ENTITY a "all">]>{RSL.format(content("/", prohibits("&a;")))}'.encode("utf-16"),
        RSL.format(content("elsewhere", prohibits("all"))).encode(),
        RSL.format(content("/x", prohibits("all")) * 2000).encode()[:LARGEST_BYTES],
    ],
)
def test_what_is_no_licence_says_nothing(body: bytes) -> None:
    assert RslDocument().parse(body).refusal(PICTURE) is None


def test_a_feed_has_its_contents_in_its_items() -> None:
    item = f"<item>{content('/pictures', prohibits('ai-train'))}</item>"
    assert said(f"<rss><channel>{item}</channel></rss>") == [("no", "/pictures prohibits ai-train")]

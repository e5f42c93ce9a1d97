"""robots.txt (RFC 9309), for those who set ``respect_robots_txt``: what a site says before it is asked.

``consent`` strict sets it. What the file says of training counts unless ``consent`` is off.

A file that is not there (any 4xx but 429) allows everything. One that cannot be had (5xx, 429, silence)
forbids everything for some minutes, because nobody can tell what it would have said. A site that cannot be
connected to is not a matter of consent: its rows fail with what is wrong.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import Said
from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.consent.content_rules import ContentRules
from img2dataset.fetching.consent.path_rules import PathRules, Rule, path_of
from img2dataset.fetching.consent.robots_groups import (
    ALLOW,
    CRAWL_DELAY,
    DISALLOW,
    REQUEST_RATE,
    Line,
    licenses_of,
    lines_for,
)
from img2dataset.fetching.urls import UrlRefused, to_uri

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

PRODUCT_TOKEN = "img2dataset"
# A longer wish is not waited for: at some minutes a row, a list of thousands has no end.
LONGEST_CRAWL_DELAY_S = 60.0
# Licences of one robots.txt that are asked for.
MOST_LICENSES = 3
_NO_LICENSES = frozenset({"/robots.txt", "/.well-known/tdmrep.json"})
# Without regard to case, [s] is "ſ" as well, unless it is of ASCII alone.
_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*([smh]?)", re.IGNORECASE | re.ASCII)
# Such as "2.5", of any length, as "never" is written. float() reads more, which is no number to others.
_DELAY = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_SECONDS_OF = {"": 1, "s": 1, "m": 60, "h": 3600}


def site_file(settings: FetchSettings) -> RobotsTxt | None:
    """The signal as ``settings`` want it; None if they do not."""
    if not settings.respect_robots_txt:
        return None
    return RobotsTxt(settings.user_agent_token, honours_content_rules=settings.consent != "off")


class RobotsTxt:
    """A ``SiteFile``.

    Args:
        token: the name that ``User-agent:`` lines address this program by; None: ``img2dataset``.
        honours_content_rules: whether ``Content-Signal`` and ``Content-Usage`` count, too.
    """

    path = "/robots.txt"

    def __init__(self, token: str | None, *, honours_content_rules: bool = False) -> None:
        self._token = token or PRODUCT_TOKEN
        self._honours_content_rules = honours_content_rules

    def parse(self, body: bytes) -> RobotsRules:
        """See ``SiteFile``."""
        if len(body) > LARGEST_BYTES:
            # Half a line would say something else than the whole one.
            body = body[: body.rfind(b"\n", 0, LARGEST_BYTES) + 1]
        text = body.decode("utf-8", "replace")
        lines = lines_for(text, self._token)
        content_rules = ContentRules(lines, is_honoured=self._honours_content_rules)
        return RobotsRules(lines, content_rules, licenses_of(text))

    def refusal_without(self, failure: Failure) -> Failure | None:
        """See ``SiteFile``."""
        kind = failure.kind.failure_class
        if failure == failures.EMPTY_BODY or (
            kind.startswith("HTTP") and failure.startswith("HTTP 4") and failure != "HTTP 429"
        ):
            return None
        if kind in ("redirect", "scheme", "invalid url"):
            # RFC 9309, 2.3.1.2: a chain that does not end in a file is a file that is not there.
            return None
        if kind in ("DNS", "TLS", "connection", "address") or failure == failures.TIMEOUT_CONNECT:
            return failure
        return failures.OPT_OUT_ROBOTS_UNAVAILABLE


class RobotsRules:
    """The ``SiteRules`` of one file, for one name.

    Args:
        lines: of the file, those that speak to it.
        content_rules: what it says of training.
        licenses: addresses of licences that it names.
    """

    def __init__(
        self, lines: Sequence[Line], content_rules: ContentRules, licenses: Sequence[str] = ()
    ) -> None:
        self._licenses = licenses
        asked = _license_uris(licenses) if content_rules.is_honoured else ()
        self.more_files = tuple(islice(asked, MOST_LICENSES))
        self._content_rules = content_rules
        self._rules = PathRules()
        delay_s = 0.0
        for key, value in lines:
            if key == ALLOW:
                self._rules.add(value, Rule("yes", f"Allow: {value}"))
            elif key == DISALLOW:
                self._rules.add(value, Rule("no", f"Disallow: {value}"))
            elif key == CRAWL_DELAY:
                delay_s = max(delay_s, _seconds(value))
            elif key == REQUEST_RATE:
                delay_s = max(delay_s, _seconds_a_request(value))
        self.delay_s = min(delay_s, LONGEST_CRAWL_DELAY_S)

    def refusal(self, uri: str) -> Failure | None:
        """See ``SiteRules``."""
        path = path_of(uri)
        rules = self._rules_of(path)
        # Of rules of one length, one that allows wins.
        if rules and all(rule.says == "no" for rule in rules):
            return failures.OPT_OUT_ROBOTS_TXT
        return self._content_rules.refusal(path)

    def said(self, uri: str) -> Iterator[Said]:
        """See ``SiteRules``."""
        path = path_of(uri)
        for rule in self._rules_of(path):
            yield Said("robots.txt", rule.line, rule.says)
        yield from self._content_rules.said(path)
        for each in self._licenses[:MOST_LICENSES]:
            yield Said("rsl", f"License: {each}", "unknown", self._content_rules.is_honoured)

    def _rules_of(self, path: str) -> list[Rule]:
        return self._rules.of(path) if path != RobotsTxt.path else []


def _license_uris(licenses: Sequence[str]) -> Iterator[str]:
    for each in dict.fromkeys(licenses):
        with contextlib.suppress(UrlRefused):
            # A licence that is a robots.txt could name others, and so on.
            if not (uri := to_uri(each)).startswith("data:") and path_of(uri) not in _NO_LICENSES:
                yield uri


def _seconds(text: str) -> float:
    return float(text) if _DELAY.fullmatch(text) else 0.0


def _seconds_a_request(text: str) -> float:
    match = _RATE.match(text)
    if match is None or not int(match[1]):
        return 0.0
    return int(match[2]) * _SECONDS_OF[match[3].lower()] / int(match[1])

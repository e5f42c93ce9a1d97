"""robots.txt (RFC 9309), for those who set ``respect_robots_txt``: what a site says before it is asked.

A file that is not there (any 4xx but 429) allows everything. One that cannot be had (5xx, 429, silence)
forbids everything for some minutes, because nobody can tell what it would have said. A site that cannot be
connected to is not a matter of consent: its rows fail with what is wrong.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent.path_rules import PathRules, normalised
from img2dataset.fetching.consent.robots_groups import (
    ALLOW,
    CRAWL_DELAY,
    DISALLOW,
    REQUEST_RATE,
    Spoken,
    lines_for,
)
from img2dataset.fetching.consent.site_files import LARGEST_BYTES

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

PRODUCT_TOKEN = "img2dataset"
# A longer wish is not waited for: at some minutes a row, a list of thousands has no end.
LONGEST_CRAWL_DELAY_S = 60.0
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})\s*([smh]?)", re.IGNORECASE)
_SECONDS_OF = {"": 1, "s": 1, "m": 60, "h": 3600}


def site_file(settings: FetchSettings) -> RobotsTxt | None:
    """The signal as ``settings`` want it; None if they do not."""
    return RobotsTxt(settings.user_agent_token) if settings.respect_robots_txt else None


class RobotsTxt:
    """A ``SiteFile``.

    Args:
        token: the name that ``User-agent:`` lines address this program by; None: ``img2dataset``.
    """

    path = "/robots.txt"

    def __init__(self, token: str | None) -> None:
        self._token = token or PRODUCT_TOKEN

    def parse(self, body: bytes) -> RobotsRules:
        """See ``SiteFile``."""
        if len(body) > LARGEST_BYTES:
            # Half a line would say something else than the whole one.
            body = body[: body.rfind(b"\n", 0, LARGEST_BYTES) + 1]
        return RobotsRules(lines_for(body.decode("utf-8", "replace"), self._token))

    def refusal_without(self, failure: Failure) -> Failure | None:
        """See ``SiteFile``."""
        kind = failure.kind.failure_class
        if failure == failures.EMPTY_BODY or (
            kind == "HTTP" and failure.detail[:1] == "4" and failure.detail != "429"
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
        spoken: what the file says to it.
    """

    def __init__(self, spoken: Spoken) -> None:
        self._rules: PathRules[bool] = PathRules()
        delay_s = 0.0
        for key, value in spoken.lines:
            if key == ALLOW:
                self._rules.add(value, True, is_careful=False)
            elif key == DISALLOW:
                self._rules.add(value, False)
            elif key == CRAWL_DELAY:
                delay_s = max(delay_s, _seconds(value))
            elif key == REQUEST_RATE:
                delay_s = max(delay_s, _seconds_a_request(value))
        self.delay_s = min(delay_s, LONGEST_CRAWL_DELAY_S)

    def refusal(self, uri: str) -> Failure | None:
        """See ``SiteRules``."""
        path = path_of(uri)
        # Of rules of one length, one that allows wins.
        said = self._rules.of(path) if path != RobotsTxt.path else []
        return failures.OPT_OUT_ROBOTS_TXT if said and not any(said) else None


def path_of(uri: str) -> str:
    """Path and query of a URI, from the slash, normalised for rules."""
    start = uri.find("/", uri.find("://") + 3)
    path = uri[start:] if start >= 0 else "/"
    return normalised(path.partition("#")[0])


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _seconds_a_request(text: str) -> float:
    match = _RATE.match(text)
    if match is None or not int(match[1]):
        return 0.0
    return int(match[2]) * _SECONDS_OF[match[3].lower()] / int(match[1])

"""robots.txt (RFC 9309), for those who set ``respect_robots_txt``: what a site says before it is asked.

A file that is not there (any 4xx but 429) allows everything. One that cannot be had (5xx, 429, silence)
forbids everything for some minutes, because nobody can tell what it would have said. A site that cannot be
connected to is not a matter of consent: its rows fail with what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.errors import MissingDependency
from img2dataset.failures import Failure
from img2dataset.fetching.consent.site_files import LARGEST_BYTES
from img2dataset.installation import install_extra

if TYPE_CHECKING:
    from protego import Protego

    from img2dataset.fetching.settings import FetchSettings

PRODUCT_TOKEN = "img2dataset"
# A longer wish is not waited for: at some minutes a row, a list of thousands has no end.
LONGEST_CRAWL_DELAY_S = 60.0


def site_file(settings: FetchSettings) -> RobotsTxt | None:
    """The signal as ``settings`` want it; None if they do not.

    Raises:
        MissingDependency: Protego is not installed.
    """
    return RobotsTxt(settings.user_agent_token) if settings.respect_robots_txt else None


class RobotsTxt:
    """A ``SiteFile``.

    Args:
        token: the name that ``User-agent:`` lines address this program by; None: ``img2dataset``.

    Raises:
        MissingDependency: Protego is not installed.
    """

    path = "/robots.txt"

    def __init__(self, token: str | None) -> None:
        check_installed()
        self._token = token or PRODUCT_TOKEN

    def parse(self, body: bytes) -> RobotsRules:
        """See ``SiteFile``."""
        from protego import Protego

        if len(body) > LARGEST_BYTES:
            # Half a line would say something else than the whole one.
            body = body[: body.rfind(b"\n", 0, LARGEST_BYTES) + 1]
        return RobotsRules(Protego.parse(body.decode("utf-8-sig", "replace")), self._token)

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
    """The ``SiteRules`` of one file, for one name."""

    def __init__(self, rules: Protego, token: str) -> None:
        self._rules, self._token = rules, token
        delay_s = rules.crawl_delay(token) or 0.0
        rate = rules.request_rate(token)
        if rate is not None:
            delay_s = max(delay_s, rate.seconds / rate.requests)
        self.delay_s = min(delay_s, LONGEST_CRAWL_DELAY_S)

    def refusal(self, uri: str) -> Failure | None:
        """See ``SiteRules``."""
        return None if self._rules.can_fetch(uri, self._token) else failures.OPT_OUT_ROBOTS_TXT


def check_installed() -> None:
    """Whether robots.txt can be read.

    Raises:
        MissingDependency: it cannot; the message names the extra to install.
    """
    try:
        import protego  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            "--respect_robots_txt needs the package protego, which is not installed; "
            f"install it with: {install_extra('robots')}"
        ) from error

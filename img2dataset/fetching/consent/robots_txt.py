"""robots.txt (RFC 9309): what a site says about a URL before it is asked for. Called by ``scheduler``.

Comes in: URLs to judge, and what asking for ``/robots.txt`` brought. Goes out: allowed, refused, or not known
yet, and who waits to know. It does no network itself: the file is fetched by the loop like any row, under the
same limits. Rules are kept a day, for a bounded number of sites.

A file that is not there (any 4xx but 429) allows everything. One that cannot be had (5xx, 429, silence)
forbids everything for some minutes, because nobody can tell what it would have said. A site that cannot be
connected to is not a matter of consent: its rows fail with what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from img2dataset import failures
from img2dataset.errors import MissingDependency
from img2dataset.failures import Failure
from img2dataset.installation import install_extra

if TYPE_CHECKING:
    from protego import Protego

PRODUCT_TOKEN = "img2dataset"
# RFC 9309, 2.5: at least this much must be read; nobody writes more.
LARGEST_BYTES = 500 * 1024
MAX_REDIRECTS = 5
KEPT_S = 86_400.0
FAILURE_KEPT_S = 300.0
# Parsed rules need some ten times their text.
REMEMBERED_SITES = 10_000
REMEMBERED_BYTES = 16 << 20
# A longer wish is not waited for: at some minutes a row, a list of thousands has no end.
LONGEST_CRAWL_DELAY_S = 60.0
Waiting = TypeVar("Waiting")
Verdict = Literal["allowed", "unknown"]


def site_of(uri: str) -> str:
    """Scheme, host and port of ``uri`` as one text: what one robots.txt speaks for."""
    end = uri.find("/", uri.find("://") + 3)
    scheme, _, authority = (uri[:end] if end >= 0 else uri).partition("://")
    return f"{scheme}://{authority.rpartition('@')[2].lower()}"


@dataclass(frozen=True, slots=True)
class _Site:
    rules: Protego | None
    refusal: Failure | None
    expires: float
    size: int


class RobotsTxt(Generic[Waiting]):
    """The robots.txt of the sites of a run, as far as they are known.

    Args:
        token: the name that ``User-agent:`` lines address this program by; None: ``img2dataset``.

    Raises:
        MissingDependency: Protego is not installed.
    """

    def __init__(self, token: str | None) -> None:
        check_installed()
        self._token = token or PRODUCT_TOKEN
        self._sites: dict[str, _Site] = {}
        self._size = 0
        self._waiting: dict[str, list[Waiting]] = {}

    def judge(self, uri: str, now: float) -> Verdict | Failure:
        """``allowed``, ``unknown``, or the failure of a row that may not be fetched."""
        site = self._sites.get(site_of(uri))
        if site is None or now >= site.expires:
            return "unknown"
        if site.refusal is not None:
            return site.refusal
        if site.rules is None or site.rules.can_fetch(uri, self._token):
            return "allowed"
        return failures.OPT_OUT_ROBOTS_TXT

    def wait(self, site: str, waiting: Waiting) -> bool:
        """Let ``waiting`` wait for a site's rules; True if nobody has asked for them yet."""
        group = self._waiting.setdefault(site, [])
        group.append(waiting)
        return len(group) == 1

    def learned(
        self, site: str, body: bytes | None, failure: Failure | None, now: float
    ) -> tuple[list[Waiting], float]:
        """Take what asking for a site's robots.txt brought: a body, or a failure as of a row.

        Returns who waited for it, and the seconds between requests that the site wishes (0: none).
        """
        rules, refusal, delay = None, None, 0.0
        if body is not None:
            rules, delay = self._parse(body)
        elif failure is not None:
            refusal = _refusal(failure)
        self._forget(site)
        size = len(body) if body is not None else 0
        lifetime = KEPT_S if refusal is None else FAILURE_KEPT_S
        self._sites[site] = _Site(rules, refusal, now + lifetime, size)
        self._size += size
        while len(self._sites) > REMEMBERED_SITES or (self._size > REMEMBERED_BYTES and len(self._sites) > 1):
            self._forget(next(iter(self._sites)))
        return self._waiting.pop(site, []), delay

    def waiting(self) -> list[Waiting]:
        """Who still waits."""
        return [waiting for group in self._waiting.values() for waiting in group]

    def _parse(self, body: bytes) -> tuple[Protego | None, float]:
        from protego import Protego

        if len(body) > LARGEST_BYTES:
            # Half a line would say something else than the whole one.
            body = body[: body.rfind(b"\n", 0, LARGEST_BYTES) + 1]
        text = body.decode("utf-8-sig", "replace")
        rules = Protego.parse(text)
        delay = rules.crawl_delay(self._token) or 0.0
        rate = rules.request_rate(self._token)
        if rate is not None:
            delay = max(delay, rate.seconds / rate.requests)
        return rules, min(delay, LONGEST_CRAWL_DELAY_S)

    def _forget(self, site: str) -> None:
        known = self._sites.pop(site, None)
        if known is not None:
            self._size -= known.size


def check_installed() -> None:
    """Whether robots.txt can be read.

    Raises:
        MissingDependency: it cannot; the message names the extra to install.
    """
    try:
        import protego  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            "respect_robots_txt needs the package protego, which is not installed; "
            f"install it with: {install_extra('robots')}"
        ) from error


def _refusal(failure: Failure) -> Failure | None:
    """The failure of the rows of a site whose robots.txt ended with ``failure``; None: they are allowed."""
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

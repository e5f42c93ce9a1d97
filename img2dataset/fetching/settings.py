"""What a user may choose about downloading, checked once, then trusted. Picklable: it travels to workers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from img2dataset.errors import OptionError
from img2dataset.fetching.consent.robots_txt import check_installed
from img2dataset.fetching.dns.system import name_server
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.http.access import Access
from img2dataset.fetching.urls import SCHEME, WEB_SCHEMES
from img2dataset.version import PROJECT_ADDRESS, __version__

MEBIBYTE = 1 << 20


# More at once than this are not tried where nobody has said how many.
MOST_TRANSFERS = 1024


@dataclass(frozen=True)
class FetchSettings:
    """How rows are downloaded.

    Args:
        concurrency: transfers in flight at once. Default 256.
        adaptive_concurrency: begin with that number, and let it follow what the network and the pixels can
            take, up to 1024. Default False.
        timeout_s: seconds; bounds name lookup, connecting and TLS together, and after that every
            silence. May be a fraction. Default 10.
        deadline_s: seconds; bounds the whole download of a row in one try, from its start through all
            its redirects to the last byte. Each retry gets a new one. Default 60.
        minimum_bytes_per_s: a transfer that has begun to answer must bring this much, averaged over
            ``timeout_s``. Default 1000: a drip is cut as soon as a silence would be.
        max_body_bytes: a larger body, after its Content-Encoding is undone, is refused. Default 64 MiB:
            a JPEG of 100 megapixels at high quality fits, and one body never exceeds the default budget.
        retries: tries after the first, for failures that can pass. Default 0.
        max_redirects: hops followed for one row. Default 10.
        user_agent: the whole User-Agent header; None: ``img2dataset/VERSION`` with the token if there is
            one, the contact if there is one, and the project's address.
        user_agent_token: the name by which site owners can address this user in X-Robots-Tag.
        disallowed_header_directives: X-Robots-Tag directives that exclude an image; empty accepts all.
        contact: a mail address or URL under which site owners reach this user; told in the User-Agent.
        respect_robots_txt: ask each site's robots.txt first, as ``user_agent_token`` or ``img2dataset``;
            rows it forbids fail as ``opt-out: robots.txt``. Default False.
        respect_tdm: leave out images that reserve text and data mining (TDM Reservation Protocol, header
            ``tdm-reservation: 1``). Default False.
        manners: how much one host is asked for; see ``HostManners``.
        access: proxies, headers, cookies, credentials, client certificate; made by ``load_access``.
        dns: "internal": names are resolved here, through c-ares; "system": by the system's resolver.
        dns_servers: addresses of name servers to ask, with a port if it is not 53; empty: the system's.
        dns_min_ttl_s: seconds an answer is kept at least, whatever its time to live. Default 60.
        dns_max_ttl_s: seconds an answer is kept at most, and that a name does not exist. Default 3600.
        network_patience_s: seconds that a network or name servers that are away altogether are waited for;
            0: not at all. Default 120.
        private_addresses: "allow": the list may name private and loopback addresses; "deny": they are
            refused, as they always are after a redirect from a public one.
        allow_schemes: schemes beside http, https and data that the list may use, read through fsspec.
        verify_certificates: False accepts any certificate.
        ca_bundle: file of trusted certificates (PEM); None: the file named by SSL_CERT_FILE,
            REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, else certifi's.
        kept_headers: names of fields of the answer that are handed on with its body.
        body_budget_bytes: bodies being received, and delivered but not yet released. Default 64 MiB.
        ready_limit: no new transfer starts while this many delivered bodies wait to be released.
            Default 64: enough to feed one thread of pixels through a pause of the network of 0.3 s.

    Raises:
        OptionError: a value is out of its range.
        MissingDependency: ``respect_robots_txt`` without the package that reads robots.txt.
    """

    concurrency: int = 256
    adaptive_concurrency: bool = False
    timeout_s: float = 10.0
    deadline_s: float = 60.0
    minimum_bytes_per_s: int = 1000
    max_body_bytes: int = 64 * MEBIBYTE
    retries: int = 0
    max_redirects: int = 10
    user_agent: str | None = None
    user_agent_token: str | None = None
    disallowed_header_directives: tuple[str, ...] = ("noai", "noimageai", "noindex", "noimageindex")
    contact: str | None = None
    respect_robots_txt: bool = False
    respect_tdm: bool = False
    manners: HostManners = field(default_factory=HostManners)
    access: Access = field(default_factory=Access)
    dns: Literal["internal", "system"] = "internal"
    dns_servers: tuple[str, ...] = ()
    dns_min_ttl_s: float = 60.0
    dns_max_ttl_s: float = 3600.0
    network_patience_s: float = 120.0
    private_addresses: Literal["allow", "deny"] = "allow"
    allow_schemes: tuple[str, ...] = ()
    verify_certificates: bool = True
    ca_bundle: str | None = None
    kept_headers: tuple[str, ...] = ()
    body_budget_bytes: int = 64 * MEBIBYTE
    ready_limit: int = 64

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_body_bytes", "body_budget_bytes", "ready_limit"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("timeout_s", "deadline_s"):
            value = getattr(self, name)
            self._require(name, math.isfinite(value) and value >= 0.001, "a number of seconds above 0")
        for name in ("minimum_bytes_per_s", "retries", "max_redirects"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("user_agent", "user_agent_token", "contact"):
            value = getattr(self, name)
            # A line break here would let a token write headers of its own.
            self._require(name, value is None or (value.isprintable() and value.isascii()), "printable ASCII")
        self._check_reach()
        if self.respect_robots_txt:
            check_installed()

    def _check_reach(self) -> None:
        self._require("dns", self.dns in ("internal", "system"), "'internal' or 'system'")
        self._require("private_addresses", self.private_addresses in ("allow", "deny"), "'allow' or 'deny'")
        for server in self.dns_servers:
            name_server(server)
        for scheme in self.allow_schemes:
            self._require("allow_schemes", SCHEME.fullmatch(scheme) is not None, "names like file or s3")
        self._require("dns_min_ttl_s", self.dns_min_ttl_s >= 0, "0 or more seconds")
        patience = self.network_patience_s
        self._require("network_patience_s", math.isfinite(patience) and patience >= 0, "0 or more seconds")
        self._require("dns_max_ttl_s", self.dns_max_ttl_s >= self.dns_min_ttl_s, "at least dns_min_ttl_s")

    @property
    def most_concurrency(self) -> int:
        """The most transfers that may ever be in flight."""
        return max(self.concurrency, MOST_TRANSFERS) if self.adaptive_concurrency else self.concurrency

    @property
    def more_schemes(self) -> frozenset[str]:
        """The schemes that are read through fsspec."""
        return frozenset(scheme.lower() for scheme in self.allow_schemes) - WEB_SCHEMES

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise OptionError(f"{name} is {getattr(self, name)!r}; it must be {allowed}")

    @property
    def user_agent_header(self) -> str:
        """What is sent as User-Agent."""
        if self.user_agent is not None:
            return self.user_agent
        parts = [self.user_agent_token, self.contact and f"contact: {self.contact}", f"+{PROJECT_ADDRESS}"]
        return f"img2dataset/{__version__} ({'; '.join(part for part in parts if part)})"

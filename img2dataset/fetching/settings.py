"""What a user may choose about downloading, checked once, then trusted. Picklable: it travels to workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from img2dataset.errors import OptionError
from img2dataset.fetching.dns.system import name_server
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.http.access import Access
from img2dataset.fetching.urls import SCHEME, WEB_SCHEMES
from img2dataset.options import DownloadOptions
from img2dataset.version import PROJECT_ADDRESS, __version__

# More at once than this are not tried where nobody has said how many.
MOST_TRANSFERS = 1024


@dataclass(frozen=True, kw_only=True)
class FetchSettings(DownloadOptions, HostManners):
    """How rows are downloaded: the options of downloads and manners, as they were checked, and these.

    Args:
        access: what proxies, headers, cookies, credentials and certificates say; made by ``load_access``.
        kept_headers: of an answer, those that are delivered with its body, in small letters.
        min_ttl_s: seconds an answer about a name is kept at least, whatever its time to live, unless
            ``dns_max_ttl`` is shorter. Names of large hosts often live for less than it takes to fetch all.
        max_redirects: hops followed for one row.
        ready_limit: no new transfer starts while this many delivered bodies wait to be released. 64 feed one
            thread of pixels through a pause of the network of 0.3 s.

    Raises:
        OptionError: a name server or a scheme is none.
        MissingDependency: ``respect_robots_txt`` without the package that reads robots.txt.
    """

    access: Access = field(default_factory=Access)
    kept_headers: tuple[str, ...] = ()
    min_ttl_s: float = 60.0
    max_redirects: int = 10
    ready_limit: int = 64

    def __post_init__(self) -> None:
        for server in self.dns_servers:
            name_server(server)
        for scheme in self.allow_schemes:
            if SCHEME.fullmatch(scheme) is None:
                raise OptionError(f"--allow_schemes has {scheme!r}; it takes names like file or s3")

    @property
    def most_concurrency(self) -> int:
        """The most transfers that may ever be in flight."""
        return max(self.thread_count, MOST_TRANSFERS) if self.adaptive_thread_count else self.thread_count

    @property
    def more_schemes(self) -> frozenset[str]:
        """The schemes that are read through fsspec."""
        return frozenset(scheme.lower() for scheme in self.allow_schemes) - WEB_SCHEMES

    @property
    def user_agent_header(self) -> str:
        """What is sent as User-Agent."""
        if self.user_agent is not None:
            return self.user_agent
        parts = [self.user_agent_token, self.contact and f"contact: {self.contact}", f"+{PROJECT_ADDRESS}"]
        return f"img2dataset/{__version__} ({'; '.join(part for part in parts if part)})"

    @property
    def names_contact(self) -> bool:
        """Whether the User-Agent says how to reach the user: ``contact``, or one's own with an address."""
        if self.user_agent is None:
            return bool(self.contact)
        return "@" in self.user_agent or "://" in self.user_agent

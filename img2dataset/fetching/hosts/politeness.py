"""How politely a run treats the hosts of its list: the user's choices, and which host a URL counts for.

Part of ``FetchSettings``; read by ``slots`` and ``scheduler``.
"""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass

from img2dataset.errors import OptionError
from img2dataset.fetching.hosts.states import USUAL_CONNECTIONS_PER_HOST

_OWN_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True)
class HostManners:
    """What one host may be asked for, by all processes of a run on a machine together.

    Args:
        max_connections_per_host: requests to one host at a time, run-wide. None: 32 for hosts of the
            internet, no bound for one's own machine and network (literal loopback and private
            addresses, ``localhost``, names without a dot, ``.local``, ``.internal``, ``.lan``). A number
            holds for every host; 0 is no bound.
        max_requests_per_second_per_host: run-wide; None: as fast as the bound of connections gives.
        max_retry_after_s: seconds a host may make its rows wait with 429 or 503: the longest Retry-After
            that is waited for, and how long a host may push back without one accepted request. Beyond
            it rows fail as ``HTTP 429``, for another run. 0: such a row fails at once. Default 120.
        processes: how many worker processes share the bounds on this machine. Default 1.

    Raises:
        OptionError: a value is out of its range.
    """

    max_connections_per_host: int | None = None
    max_requests_per_second_per_host: float | None = None
    max_retry_after_s: float = 120.0
    processes: int = 1

    def __post_init__(self) -> None:
        bound, rate = self.max_connections_per_host, self.max_requests_per_second_per_host
        if bound is not None and bound < 0:
            raise OptionError(f"max_connections_per_host is {bound!r}; it must be 0 (no bound) or more")
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise OptionError(
                f"max_requests_per_second_per_host is {rate!r}; it must be above 0, or None for no limit"
            )
        if not (math.isfinite(self.max_retry_after_s) and self.max_retry_after_s >= 0):
            raise OptionError(
                f"max_retry_after_s is {self.max_retry_after_s!r}; it must be a number of seconds, 0 or more"
            )
        if self.processes < 1:
            raise OptionError(f"processes is {self.processes!r}; it must be at least 1")

    def connections_to(self, host: str) -> int | None:
        """The run-wide bound of ``host`` (as ``host_of`` names it); None if there is none."""
        if self.max_connections_per_host is not None:
            return self.max_connections_per_host or None
        return None if is_own_network(host) else USUAL_CONNECTIONS_PER_HOST

    def takes_turns(self, host: str) -> bool:
        """Whether there are more processes than connections to ``host``, so that they take turns."""
        bound = self.connections_to(host)
        return bound is not None and bound < self.processes

    @property
    def seconds_between_requests(self) -> float:
        """From one request of this process to a host to the next, by the user's wish."""
        rate = self.max_requests_per_second_per_host
        return self.processes / rate if rate else 0.0


def host_of(uri: str) -> str:
    """The host that a request for ``uri`` counts for: name and port, without the usual ports.

    The name and not the address: the sites behind one address of a content network set their limits each
    for itself, and one address may serve a third of a list. http and https of a name are one host.
    """
    start = uri.find("://") + 3
    end = uri.find("/", start)
    authority = uri[start : end if end >= 0 else len(uri)]
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    host = authority.lower()
    if host.endswith((":80", ":443")) and (host[0] != "[" or "]:" in host):
        host = host[: host.rindex(":")]
    return host


def leads_elsewhere(uri: str, target: str) -> bool:
    """Whether a redirect from ``uri`` to ``target`` leaves the host, or its encryption."""
    return host_of(uri) != host_of(target) or (uri.startswith("https:") and not target.startswith("https:"))


def name_of(host: str) -> str:
    """``host`` without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_own_network(host: str) -> bool:
    """Whether ``host`` says by itself that it is this machine or a private network."""
    name = name_of(host).removesuffix(".")
    if not name[-1:].isdigit() and ":" not in name:
        return "." not in name or name.endswith(_OWN_ENDINGS)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_OWN_ENDINGS)
    return address.is_private or address.is_loopback

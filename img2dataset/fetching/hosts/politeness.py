"""How politely a run treats the hosts of its list: the user's choices, and which host a URL counts for.

Part of ``FetchSettings``; read by ``slots`` and ``scheduler``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from img2dataset.fetching.hosts.policies import NO_POLICIES, HostPolicies
from img2dataset.fetching.hosts.states import USUAL_CONNECTIONS_PER_HOST
from img2dataset.fetching.hosts.turns import connections_of, rank_of
from img2dataset.options import MannersOptions

_OWN_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class HostBounds(NamedTuple):
    """What a run may ask one host for: connections at a time, requests and bytes a second; None: no bound."""

    connections: int | None
    requests_per_s: float | None
    bytes_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class HostManners(MannersOptions):
    """What one host may be asked for, by all processes of a run together.

    The options of manners, and:

    Args:
        processes: how many worker processes share the bounds of this member.
        members: how many members the run has: machines or tasks, each with processes of its own. What a
            host may be asked for is divided by them.
        member: which of them this is, 0 to ``members`` - 1.
        policies: what hosts ask for in writing. That of the user's file wins over the options, these win over
            what comes with this package.
    """

    processes: int = 1
    members: int = 1
    member: int = 0
    policies: HostPolicies = NO_POLICIES

    def bounds_of(self, host: str) -> HostBounds:
        """What the run may ask ``host`` for (as ``host_of`` names it)."""
        policy = self.policies.of(host)
        chosen = (self.max_requests_per_second_per_host, policy.requests_per_s)
        if policy.is_users:
            chosen = chosen[::-1]
        rate = chosen[1] if chosen[0] is None else chosen[0]
        return HostBounds(self.connections_to(host), rate, policy.bytes_per_s)

    def connections_to(self, host: str) -> int | None:
        """The run-wide bound of ``host`` (as ``host_of`` names it); None if there is none."""
        policy = self.policies.of(host)
        chosen = (self.max_connections_per_host, policy.connections)
        for connections in reversed(chosen) if policy.is_users else chosen:
            if connections is not None:
                return connections or None
        return None if is_own_network(host) else USUAL_CONNECTIONS_PER_HOST

    def takes_turns(self, host: str) -> bool:
        """Whether there are more members, or processes of one, than connections to ``host``.

        Then they take turns, and an idle connection would be another one's.
        """
        bound = self.connections_to(host)
        if bound is None or self.members == 1:
            return bound is not None and bound < self.processes
        own = connections_of(bound, rank_of(host, self.member, self.members), self.members)
        return bound < self.members or own < self.processes

    def seconds_between_requests(self, host: str) -> float:
        """From one request of a process to ``host`` to the next, in a run of one member."""
        rate = self.bounds_of(host).requests_per_s
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

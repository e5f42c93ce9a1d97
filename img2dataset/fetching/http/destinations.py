"""Where a request connects: to which proxy, or to which of the allowed addresses of its host.

A URI goes in; what libcurl is told of its host, or the failure, comes out, at once or later. Called by the
loop before each request. ``transfer`` looks again at the address that is really connected to.
"""

from __future__ import annotations

import ipaddress
import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach, kind_of, numeric_address
from img2dataset.fetching.dns import system
from img2dataset.fetching.dns.lookup import Resolved
from img2dataset.fetching.dns.name_servers import Watch
from img2dataset.fetching.dns.resolver import Resolver
from img2dataset.fetching.http.access import Access
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import host_and_port

Waiting = TypeVar("Waiting")


class Destination(NamedTuple):
    """``entries`` for CURLOPT_RESOLVE, none if there is nothing to tell; or a failure."""

    entries: tuple[str, ...] = ()
    failure: Failure | None = None


# No named tuple: before Python 3.11 those cannot be generic.
@dataclass(frozen=True)
class _Asked(Generic[Waiting]):
    host: str
    port: int
    after_public: bool
    waiting: Waiting


class Destinations(Generic[Waiting]):
    """Finds destinations; belongs to the loop's thread.

    Args:
        settings: see ``FetchSettings``.
        watch: see ``name_servers.Watch``.
    """

    def __init__(self, settings: FetchSettings, watch: Watch) -> None:
        self._settings = settings
        self._watch = watch
        self._reach = Reach(settings.private_addresses == "allow")
        self._resolver: Resolver[_Asked[Waiting]] | None = None
        # Made when it is first needed: what goes through a proxy is found by the proxy.
        self._needs_resolver = settings.dns == "internal"

    @property
    def name_servers(self) -> list[str]:
        """The addresses of the servers that are asked, without ports; none if the system asks."""
        if self._resolver is None:
            return []
        return [address.rpartition(":")[0].strip("[]") for address in self._resolver.servers]

    def find(
        self, uri: str, after_public: bool, waiting: Waiting, now: float, proxied: bool = False
    ) -> Destination | None:
        """The destination of ``uri``; None if ``answered`` will tell ``waiting``.

        Args:
            uri: what is to be requested, over http or https.
            after_public: a redirect from a public address led to it.
            waiting: given back with the answer.
            now: the present, on the monotonic clock.
            proxied: it goes through a proxy, which finds the host.
        """
        host, port = host_and_port(uri)
        address = numeric_address(host)
        if address is not None:
            return Destination((), self._reach.refusal(address, after_public))
        if proxied:
            return Destination()
        if self._needs_resolver:
            self._needs_resolver = False
            self._resolver = _new_resolver(self._settings, self._watch)
        if self._resolver is None:
            return Destination()
        asked = _Asked(host, port, after_public, waiting)
        resolved = self._resolver.resolve(host, asked, now)
        return None if resolved is None else self._destination(asked, resolved)

    def answered(self, now: float) -> Iterator[tuple[Waiting, Destination]]:
        """Carry the questions on; who has an answer by now."""
        if self._resolver is not None:
            self._resolver.turn(now)
            for asked, resolved in self._resolver.answered():
                yield asked.waiting, self._destination(asked, resolved)

    def next_due(self) -> float | None:
        """When ``answered`` has something to do though nothing else happens."""
        return None if self._resolver is None else self._resolver.next_due()

    def is_public(self, uri: str, address: str, proxied: bool) -> bool:
        """Whether ``uri``, which was answered from ``address``, is on the public side.

        What a proxy has reached is not told; it counts as public unless the URI itself names an address.
        """
        if proxied:
            address = numeric_address(host_and_port(uri)[0]) or ""
        return not address or kind_of(address) == "public"

    def close(self) -> None:
        """Drop every question."""
        if self._resolver is not None:
            self._resolver.close()

    def _destination(self, asked: _Asked[Waiting], resolved: Resolved) -> Destination:
        if resolved.failure is not None:
            return Destination((), resolved.failure)
        addresses, refusal = self._reach.select(resolved.addresses, asked.after_public)
        if refusal is not None:
            return Destination((), refusal)
        listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        # With a plus libcurl forgets the entry again; otherwise it would keep all of a list's hosts.
        return Destination((f"+{asked.host}:{asked.port}:{listed}",))


def _new_resolver(settings: FetchSettings, watch: Watch) -> Resolver[_Asked[Waiting]] | None:
    """The resolver of this process; None, with one warning, if the system's must do."""
    try:
        return Resolver(
            watch,
            servers=tuple(system.name_server(text) for text in settings.dns_servers),
            timeout_s=min(settings.timeout, settings.deadline),
            min_ttl_s=min(settings.min_ttl_s, settings.dns_max_ttl),
            max_ttl_s=settings.dns_max_ttl,
            rules=system.parse_resolver_file(system.read_text(system.RESOLVER_FILE)),
            hosts=system.parse_hosts_file(system.read_text(system.HOSTS_FILE)),
            ipv6=system.has_ipv6(),
        )
    except (ImportError, OSError) as error:
        _warn_once(str(error))
        return None


@lru_cache(maxsize=1)
def _warn_once(reason: str) -> None:
    logging.getLogger(__name__).warning(
        "names are resolved by the system, which is slower and may lose many: %s", reason
    )


class Proxies:
    """Chooses the proxy of each request of one fetcher, and tells libcurl of it.

    The user's proxies, in turn; or those that the environment names, by curl's rules: ``http_proxy``,
    ``https_proxy``, ``all_proxy`` and ``no_proxy``. Whether a request is direct decides what is checked of
    the address it goes to, so that must not be left to a guess.

    Args:
        access: has the user's proxies.
        environment: whose variables count where the user names none; ``no_proxy`` counts in any case.
    """

    def __init__(self, access: Access, environment: Mapping[str, str] = os.environ) -> None:
        own = [proxy.reveal() for proxy in access.proxies]
        self._own = itertools.cycle(own) if own else None
        by_all = _first(environment, "all_proxy", "ALL_PROXY")
        self._of_environment = {
            # HTTP_PROXY is left out, as curl does: a web server sets it from a header of its visitors.
            "http": _first(environment, "http_proxy") or by_all,
            "https": _first(environment, "https_proxy", "HTTPS_PROXY") or by_all,
        }
        no_proxy = _first(environment, "no_proxy", "NO_PROXY")
        self._direct = [entry.strip().lower() for entry in no_proxy.replace(",", " ").split()]
        self.are_none = self._own is None and not any(self._of_environment.values())

    def of(self, uri: str) -> str:
        """The proxy for a request to ``uri``, empty for none."""
        if self.are_none or (self._direct and self._is_direct(host_and_port(uri)[0])):
            return ""
        if self._own is not None:
            return next(self._own)
        return self._of_environment["https" if uri.startswith("https:") else "http"]

    def _is_direct(self, host: str) -> bool:
        name = host.lower().strip("[]").removesuffix(".")
        return any(_covers(entry, name) for entry in self._direct)


def _covers(entry: str, name: str) -> bool:
    """Whether an entry of ``no_proxy`` stands for a host: ``*``, its network, its name, a domain it is in."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    entry = entry.strip(".")
    return bool(entry) and (name == entry or name.endswith(f".{entry}"))


def _first(environment: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environment.get(name))), "")

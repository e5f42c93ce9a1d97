"""Where a request may connect: the addresses of its host that are allowed, for libcurl to choose from.

A URI goes in; what libcurl is told of its host, or the failure, comes out, at once or later. Called by the
loop before each request. ``transfer`` looks again at the address that is really connected to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach, kind_of, numeric_address
from img2dataset.fetching.dns import system_settings
from img2dataset.fetching.dns.name_cache import Resolved
from img2dataset.fetching.dns.name_servers import Watch
from img2dataset.fetching.dns.resolver import Resolver
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

    def waiting(self) -> list[Waiting]:
        """Who still waits."""
        return [] if self._resolver is None else [asked.waiting for asked in self._resolver.waiting()]

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
            servers=tuple(system_settings.name_server(text) for text in settings.dns_servers),
            timeout_s=min(settings.timeout_s, settings.deadline_s),
            min_ttl_s=settings.dns_min_ttl_s,
            max_ttl_s=settings.dns_max_ttl_s,
            rules=system_settings.parse_resolver_file(
                system_settings.read_text(system_settings.RESOLVER_FILE)
            ),
            hosts=system_settings.parse_hosts_file(system_settings.read_text(system_settings.HOSTS_FILE)),
            ipv6=system_settings.has_ipv6(),
        )
    except (ImportError, OSError) as error:
        _warn_once(str(error))
        return None


@lru_cache(maxsize=1)
def _warn_once(reason: str) -> None:
    logging.getLogger(__name__).warning(
        "names are resolved by the system, which is slower and may lose many: %s", reason
    )

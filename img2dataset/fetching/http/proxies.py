"""Which proxy a request goes through, if any. Decided here for each request, and told to libcurl.

The user's proxies, in turn; or those that the environment names, by curl's rules: ``http_proxy``,
``https_proxy``, ``all_proxy`` and ``no_proxy``. Whether a request is direct decides what is checked of the
address it goes to, so that must not be left to a guess.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Mapping

from img2dataset.fetching.http.access import Access
from img2dataset.fetching.urls import host_and_port


class Proxies:
    """Chooses for one fetcher.

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

"""Downloading: rows in, bodies or failures out, on one libcurl event loop a process.

``Fetcher`` is the way in; the worker calls it. What happens to a row, in order:

1. ``fetcher`` takes it, ``requests.ledger`` has it until it is answered, ``requests.loop`` carries it on, on
   one thread.
2. ``urls``: text → URI, or ``invalid url: …``, ``scheme: …``. A body that needs no request (in the list
   itself, in a file or store) comes from ``requests.local_bodies``.
3. ``requests.scheduler``: which row is next (``requests.row_order``)? May its host be asked now
   (``hosts.slots``, ``hosts.host``, ``hosts.pace``; ``hosts.politeness`` has the user's choices)? Does the
   site consent (``consent``)?
4. ``requests.body_memory``: is there memory for its body?
5. ``requests.in_flight``: ``http.destinations`` finds its host (``dns``) and says where it may lead
   (``addresses``).
6. ``http.transfer`` on ``http.transport``: libcurl, with ``http.clocks``; ``http.access`` says who asks.
   ``requests.time_limits`` looks at the clocks, and sees which transfers are silent.
7. ``http.response`` takes what comes; ``http.response_head`` decides on it by status, redirect, opt-out
   (``consent``) and size.
8. ``http.curl`` and ``dns.system`` say what went wrong. ``requests.outcomes``: another hop, another try?
   ``requests.network``: was it this machine or its network?

``hosts.states`` has what a host goes through, and ``docs/host-states.md`` its picture. ``Fetcher`` is
loaded when first used: it needs libcurl, which the program itself does not.
"""

# ruff: noqa: E402 - libcurl is missed in one clear line, and not where it is first used
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from img2dataset.installation import check_installed

check_installed("pycurl")

from img2dataset.fetching.file_systems import check_schemes
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.http.access import Access, load_access, masked_header, masked_proxy
from img2dataset.fetching.settings import FetchSettings

if TYPE_CHECKING:
    from img2dataset.fetching.fetcher import Fetcher

__all__ = [
    "Access",
    "FetchSettings",
    "Fetcher",
    "HostManners",
    "check_schemes",
    "load_access",
    "masked_header",
    "masked_proxy",
]


def __getattr__(name: str) -> Any:
    if name != "Fetcher":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_installed("certifi", "idna", "isal.isal_zlib", "pycares")
    from img2dataset.fetching.fetcher import Fetcher

    return Fetcher

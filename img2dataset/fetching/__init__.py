"""Downloading: rows in, bodies or failures out, on one libcurl event loop a process.

``Fetcher`` is the way in; the worker calls it. What happens to a row, in order:

0. ``fetcher`` takes it, ``pending`` keeps it, ``loop`` carries it through the rest on one thread
1. ``urls``: text → URI, or ``invalid url: …``, ``scheme: …`` (``sources`` for ``data:``, files and stores)
2. ``admission``: which row is next (``row_order``), and may its host be asked now? (``hosts``, ``pace`` and
   ``acquaintance`` decide, ``manners`` are the user's)
   Does the site consent? (``robots_txt``)
3. ``budget``: is there memory for its body?
4. ``transfer`` on ``transport``: libcurl, with the slot's callbacks and ``clocks``; ``access`` says who asks
   ``destinations`` finds its host first (``resolver``) and says where it may lead (``addresses``)
5. ``answers``: the headers decide (status, redirect, opt-out by ``robots``, size)
   ``watching`` looks at the clocks, and sees who is silent
   ``network`` and ``holding``: was it this machine or its network that failed? Then it is tried again
6. ``failures``, ``retry``, ``tries``, ``names``: what went wrong, and whether to try again

``Fetcher`` is loaded when first used: it needs libcurl, which the program itself does not.
"""

# ruff: noqa: E402 - libcurl is missed in one clear line, and not where it is first used
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from img2dataset.installation import check_installed

check_installed("pycurl")

from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.http.access import Access, load_access, masked_header, masked_proxy
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.stored_files import check_schemes

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

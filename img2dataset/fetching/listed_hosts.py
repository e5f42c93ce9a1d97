"""The host of a URL as it stands in a list. Called where rows are counted by host.

``hosts.politeness.host_of`` is for the URI that is asked.
"""

from __future__ import annotations

import functools
import re

from img2dataset.fetching.urls import UrlRefused, host_and_port, stripped, to_uri

# One that stands as it is asked: names, and IPv4 addresses of four decimal numbers.
_USUAL = re.compile(r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9_-]*\.?(?::[0-9]{1,5})?")
# Of a name; what stands in its place can be as long as the URL.
_MOST_CHARACTERS = 253


def listed_host(url: str | None) -> str:
    """The host of a URL of a list: in ASCII, without a user and a port; empty if there is none.

    It is the one that the program asks, so that a name has one spelling; of a URL that it would refuse, such
    as other programs may have asked for, what stands there, 253 characters at most.
    """
    scheme, _, rest = (url or "").partition("://")
    authority, slash, _ = rest.partition("/")
    if ":" in scheme:
        authority = ""  # such as data:, whose bytes may have slashes
    if not slash:
        authority = stripped(authority)  # the end of the URL, and what stands around that
    if authority:
        # A long one is hardly met again, and would be remembered whole.
        return (_of_authority if len(authority) <= _MOST_CHARACTERS else _read)(authority)
    # Written in a way that browsers read too, such as with backslashes; or no host at all.
    return _as_asked(url) if url else ""


def _read(authority: str) -> str:
    if _USUAL.fullmatch(authority):
        return authority.partition(":")[0].removesuffix(".").lower()[:_MOST_CHARACTERS]
    as_it_stands = authority.partition("?")[0].partition("#")[0].rpartition("@")[2].partition(":")[0].lower()
    return _as_asked(f"http://{authority}/") or as_it_stands[:_MOST_CHARACTERS]


_of_authority = functools.lru_cache(40_000)(_read)


def _as_asked(url: str) -> str:
    try:
        uri = to_uri(url)
    except UrlRefused:
        return ""
    return host_and_port(uri)[0].removesuffix(".").lower() if uri.startswith("http") else ""

"""A path or address as it was given → the same for people: without what may be a secret in it."""

from __future__ import annotations

import re

# Links of a chain, as in zip://list.csv::https://host/lists.zip; not within the brackets of an IPv6 address.
_BETWEEN_LINKS = re.compile(r"::(?![^\[]*\])")
# What follows their :// is a path, in which nothing is secret.
_OF_PATHS = {
    *("file", "local", "memory", "zip", "tar", "libarchive", "archive", "gzip", "blockcache", "filecache"),
    *("simplecache", "cached", "reference", "dir", "github", "git"),
}
# The name before the @ is that of a container.
_OF_CONTAINERS = {"abfs", "abfss", "wasb", "wasbs", "az"}
_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
_END_OF_PATH = re.compile(r"[?#]|;[\w.-]+=")


def shown_name(name: str) -> str:
    """The name of a list or folder without passwords, queries, fragments and parameters of addresses."""
    return "::".join(map(_shown_link, _BETWEEN_LINKS.split(name)))


def _shown_link(link: str) -> str:
    scheme, separator, rest = link.partition("://")
    if not separator or scheme.lower() in _OF_PATHS:
        return link
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    if at:
        if ":" in user or scheme.lower() not in _OF_CONTAINERS:
            rest = rest[len(user) + 1 :]
    elif not _PORT.fullmatch(authority) and "@" in rest:
        # A password with a slash in it, or another sign that ends an authority.
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{_END_OF_PATH.split(rest, maxsplit=1)[0]}"

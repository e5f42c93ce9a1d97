"""Paths, addresses and lines about them → the same for people: without what may be a secret in them."""

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
# Addresses within a line; of a chain, all of it.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")
_MAYBE_SECRET = re.compile(r"@|[?&;][^=&]*(?:sig|token|secret|credential|password|key)[^=&]*=", re.IGNORECASE)


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


def without_secrets(line: str) -> str:
    """A line for people, an error's or a log's, with the addresses in it shown as ``shown_name`` has them.

    Those in which nothing looks like a password, a signature or a key stay as they are.
    """
    if "://" not in line:
        return line
    return _ADDRESS.sub(
        lambda found: shown_name(found[0]) if _MAYBE_SECRET.search(found[0]) else found[0], line
    )

"""Cookies for the hosts they belong to. Comes in: a Netscape cookie file; goes out: Cookie headers.

Only what is in the file is sent. What servers set is forgotten: rows of a list have nothing to do with one
another, and a jar that fills itself would have no bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from img2dataset.errors import OptionError
from img2dataset.fetching.secret import Secret

_HTTP_ONLY = "#HttpOnly_"


@dataclass(frozen=True, slots=True)
class Cookie:
    """One line of the file. ``expires`` in Unix seconds, 0 for never."""

    domain: str
    with_subdomains: bool
    path: str
    secure: bool
    expires: float
    pair: Secret


def load_cookies(path: str) -> tuple[Cookie, ...]:
    """The cookies of a Netscape cookie file (as curl, wget and browser extensions write it).

    Raises:
        OptionError: the file cannot be read or a line is not a cookie; never quotes the line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"cookies names {path!r}, which cannot be read as text; name a Netscape cookie file"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        line = line.removeprefix(_HTTP_ONLY)
        if line.strip() and not line.startswith("#"):
            cookie = _cookie(line)
            if cookie is None:
                raise OptionError(
                    f"line {number} of the cookie file {path!r} is not a cookie; it must have seven fields "
                    "with tabs between them: domain, TRUE or FALSE for subdomains, path, TRUE or FALSE for "
                    "https only, expiry, name, value"
                )
            found.append(cookie)
    return tuple(found)


class CookieJar:
    """Finds the cookies of a request."""

    def __init__(self, cookies: Iterable[Cookie]) -> None:
        self._by_domain: dict[str, list[Cookie]] = {}
        for cookie in cookies:
            self._by_domain.setdefault(cookie.domain, []).append(cookie)

    def header_for(self, uri: str, now: float) -> str | None:
        """The value of the Cookie header of a request (RFC 6265, 5.4); None without cookies."""
        if not self._by_domain:
            return None
        parts = urlsplit(uri)
        host = (parts.hostname or "").removesuffix(".")
        matching = [
            cookie
            for domain in _domains(host)
            for cookie in self._by_domain.get(domain, ())
            if (cookie.with_subdomains or domain == host)
            and _path_matches(cookie.path, parts.path)
            and (parts.scheme == "https" or not cookie.secure)
            and (not cookie.expires or now < cookie.expires)
        ]
        matching.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(cookie.pair.reveal() for cookie in matching) or None


def _cookie(line: str) -> Cookie | None:
    fields = line.split("\t")
    if len(fields) == 6:
        fields.append("")
    if len(fields) != 7 or not line.isascii() or not fields[5]:
        return None
    domain, subdomains, path, secure, expires, name, value = fields
    if not expires.isdigit() or {subdomains.upper(), secure.upper()} - {"TRUE", "FALSE"}:
        return None
    if any(not character.isprintable() or character == ";" for character in name + value):
        return None
    return Cookie(
        domain.lower().removeprefix("."),
        subdomains.upper() == "TRUE",
        path or "/",
        secure.upper() == "TRUE",
        float(expires),
        Secret(f"{name}={value}"),
    )


def _domains(host: str) -> list[str]:
    """``host`` and the domains it is in; an address is in none."""
    if ":" in host or host.replace(".", "").isdigit():
        return [host]
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _path_matches(cookie_path: str, path: str) -> bool:
    path = path or "/"
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
    )

"""Cookies for the hosts they belong to. Comes in: a Netscape cookie file; goes out: Cookie headers.

What a server sets in a redirect is sent on in the same chain of redirects, as some sites need before they
show a picture, and then forgotten: rows of a list have nothing to do with one another.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from img2dataset.counted import counted
from img2dataset.errors import OptionError
from img2dataset.fetching.http.credentials import Secret

_HTTP_ONLY = "#HttpOnly_"
# Some programs write fractions of a second, or nothing for never.
_EXPIRY = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)?")
# RFC 6265, 5.2.2. Anything else is no age; isdigit() knows more digits than int() reads.
_AGE = re.compile(r"-?[0-9]+")
_LONGEST_AGE_S = 10**9
# A chain of redirects is short; browsers keep 50 cookies of 4 KB a domain.
MOST_SET, LONGEST_SET = 50, 4096

logger = logging.getLogger("img2dataset")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One line of the file. ``expires`` in Unix seconds, 0 for never."""

    domain: str
    with_subdomains: bool
    path: str
    secure: bool
    expires: float
    pair: Secret

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others: of two with the same, the later one counts."""
        return self.domain, self.path, self.pair.reveal().partition("=")[0]


def load_cookies(path: str) -> tuple[Cookie, ...]:
    """The cookies of a Netscape cookie file (as curl, wget and browser extensions write it).

    Lines that are no cookies are left out, and counted in one warning.

    Raises:
        OptionError: the file cannot be read, or has no cookie; never quotes a line.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().removeprefix(codecs.BOM_UTF8).decode("latin-1").splitlines()
    except OSError as error:
        raise OptionError(
            f"--cookies names {path!r}, which cannot be read ({error.strerror}); name a Netscape cookie file"
        ) from error
    lines = [line.removeprefix(_HTTP_ONLY) for line in lines]
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    cookies = [_cookie(line) for line in lines]
    # Of the same cookie twice, the later one counts.
    found = {cookie.key: cookie for cookie in cookies if cookie is not None}
    if lines and not found:
        raise OptionError(
            f"the cookie file {path!r} has no cookie; each line must have seven fields with tabs between"
            " them: domain, TRUE or FALSE for subdomains, path, TRUE or FALSE for https only, expiry, name,"
            " value"
        )
    left_out = sum(cookie is None for cookie in cookies)
    if left_out:
        logger.warning("%s of the cookie file %s left out, being no cookie", counted(left_out, "line"), path)
    return tuple(found.values())


def with_cookies(
    cookies: tuple[Cookie, ...], headers: Iterable[bytes], uri: str, now: float
) -> tuple[Cookie, ...]:
    """The cookies of a chain of redirects after one more answer (RFC 6265, 5.2 and 5.3).

    Args:
        cookies: those so far.
        headers: values of Set-Cookie in the answer.
        uri: where it came from.
        now: Unix seconds.
    """
    found = {cookie.key: cookie for cookie in cookies}
    for header in headers:
        cookie = _cookie_set(header, uri, now)
        if cookie is not None:
            found[cookie.key] = cookie
    return tuple(found.values())[-MOST_SET:]


def _cookie_set(header: bytes, uri: str, now: float) -> Cookie | None:
    pair, *attributes = header.decode("latin-1").split(";")
    name, _, value = (part.strip() for part in pair.partition("="))
    if not name or len(header) > LONGEST_SET or not _is_sendable(name + value):
        return None
    given = {
        key.strip().lower(): text.strip()
        for key, _, text in (attribute.partition("=") for attribute in attributes)
    }
    parts = urlsplit(uri)
    host = (parts.hostname or "").removesuffix(".")
    domain = given.get("domain", "").lower().removeprefix(".") or host
    # A whole ending, such as com, is nobody's domain.
    if domain != host and ("." not in domain or domain not in _domains(host)):
        return None
    path = given.get("path", "")
    if not path.startswith("/"):
        path = parts.path.rpartition("/")[0] or "/"
    return Cookie(
        domain,
        "domain" in given,
        path,
        "secure" in given,
        _expiry(given, now),
        Secret(f"{name}={value}"),
    )


def _expiry(given: Mapping[str, str], now: float) -> float:
    age = given.get("max-age", "")
    if _AGE.fullmatch(age):
        # Some servers write as many nines as they like.
        return now + min(int(age), _LONGEST_AGE_S) if int(age) > 0 else 1.0
    try:
        date = parsedate_to_datetime(given.get("expires", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    return max(1.0, date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp())


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
    if len(fields) != 7 or not fields[5]:
        return None
    domain, subdomains, path, secure, expires, name, value = fields
    if not _EXPIRY.fullmatch(expires) or {subdomains.upper(), secure.upper()} - {"TRUE", "FALSE"}:
        return None
    if not (line.isascii() and _is_sendable(name + value)):
        return None
    return Cookie(
        domain.lower().removeprefix("."),
        subdomains.upper() == "TRUE",
        path or "/",
        secure.upper() == "TRUE",
        float(expires or 0),
        Secret(f"{name}={value}"),
    )


def _is_sendable(text: str) -> bool:
    return all(character.isprintable() and character != ";" for character in text) and text.isascii()


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

"""The lines of a robots.txt that speak to one program (RFC 9309, section 2.2). Pure.

A group begins with one or more ``User-agent`` lines. Lines of other kinds between them, such as ``Sitemap``,
do not end the list of names: only a rule does. All groups that name the program count together; if none
does, those of ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

EVERYBODY = "*"
# Lines that belong to the group they stand in; each but the first two is an extension of RFC 9309.
ALLOW, DISALLOW, CRAWL_DELAY, REQUEST_RATE = "allow", "disallow", "crawl-delay", "request-rate"
CONTENT_SIGNAL, CONTENT_USAGE = "content-signal", "content-usage"
_OF_GROUPS = (ALLOW, DISALLOW, CRAWL_DELAY, REQUEST_RATE, CONTENT_SIGNAL, CONTENT_USAGE)
USER_AGENT = "user-agent"
# Belongs to no group: it counts wherever it stands. To obey one that was meant for another is no breach.
LICENSE = "license"
# What ends the names of a group. The last two are rules as well: Cloudflare's file has Content-Signal
# for all, and the names of those that it sends away below.
_RULES = frozenset({ALLOW, DISALLOW, CONTENT_SIGNAL, CONTENT_USAGE})
# What the first word of a line means: others are passed over. Among them misspellings that occur in the wild
# and have one meaning; as large crawlers take them.
_MEANT = {
    **{key: key for key in (USER_AGENT, LICENSE, *_OF_GROUPS)},
    **{key.capitalize(): key for key in (USER_AGENT, LICENSE, *_OF_GROUPS)},
    "User-Agent": USER_AGENT,
    "useragent": USER_AGENT,
    "user agent": USER_AGENT,
    "dissallow": DISALLOW,
    "dissalow": DISALLOW,
    "disalow": DISALLOW,
    "diasllow": DISALLOW,
    "disallaw": DISALLOW,
}
# What stands behind a name: a version (img2dataset/2.0), a remark, a wildcard.
_NAME = re.compile(r"[^\s/*(;,]+")


class Line(NamedTuple):
    """A line of a group: what it is, in lower case, and its value as it stands."""

    key: str
    value: str


def lines_for(text: str, token: str) -> list[Line]:
    """The lines of the groups that speak to a program: those that name it, else those for everybody.

    Args:
        text: of the file.
        token: the name of the program, in any case; names match whole, a version behind them set aside.
    """
    own, everybody = token.strip().lower(), EVERYBODY
    found: dict[str, list[Line]] = {}
    named: set[str] = set()
    has_rules = False
    for key, value in _lines(text):
        if key == USER_AGENT:
            if has_rules:
                named, has_rules = set(), False
            named |= {name for name in (own, everybody) if _names(value, name)}
            for name in named:
                # A group that says nothing to a program allows it everything.
                found.setdefault(name, [])
        else:
            has_rules = has_rules or key in _RULES
            for name in named:
                found[name].append(Line(key, value))
    return found.get(own, found.get(everybody, []))


def licenses_of(text: str) -> list[str]:
    """The values of all ``License`` lines (RSL 1.0), as they stand."""
    return [value for key, value in _lines(text) if key == LICENSE] if "icense" in text.lower() else []


def _names(value: str, name: str) -> bool:
    value = value.lower()
    if name == EVERYBODY:
        return value == EVERYBODY or (value[:1] == EVERYBODY and value[1:2].isspace())
    match = _NAME.match(value)
    return value == name or (match is not None and match[0] == name)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The key and the value of each line that may count; of the first, what it means."""
    for line in text.removeprefix("\ufeff").replace("\r", "\n").split("\n"):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        key, colon, value = content.partition(":")
        if not colon:
            # A space in place of the colon, where there are two words: as large crawlers take it.
            words: Sequence[str] = content.split(None, 2)
            if len(words) != 2:
                continue
            key, value = words
        meant = _MEANT.get(key) or _MEANT.get(" ".join(key.lower().split()))
        if meant is not None:
            yield meant, value.strip()

"""Which rule of a robots.txt speaks of a path (RFC 9309, 2.2.2 and 2.2.3): the longest that matches. Pure.

Rules without a wildcard are looked up by the beginnings of the path; those with one are tried only where what
stands before its first ``*`` begins the path, and its longest part is somewhere in it. So of a file of
500 KB, plain rules cost some ten microseconds a path, nothing but wildcards a tenth of a millisecond, and
those that are made to be tried for it one or two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from img2dataset.types import Says

# So many rules with a wildcard are tried for a path; nobody writes more by hand. Further ones count as if
# they ended before their first wildcard, where that is the careful reading (see ``add``).
MOST_WILDCARDS = 1000
# And so many parts, between wildcards, of all of them together: usual ones have two or three each.
MOST_PARTS = 4 * MOST_WILDCARDS
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class _Pattern(NamedTuple):
    length: int
    parts: tuple[str, ...]
    longest: str  # of the parts
    is_anchored: bool

    def matches(self, path: str) -> bool:
        """Whether it matches from the beginning of the path."""
        # Each part as early as may be, the last as late: nothing is tried twice.
        first, *rest = self.parts
        if not path.startswith(first):
            return False
        position = len(first)
        last = rest.pop() if rest and self.is_anchored else None
        for part in rest:
            found = path.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        if last is not None:
            return len(path) - len(last) >= position and path.endswith(last)
        return position == len(path) if self.is_anchored else True


class Rule(NamedTuple):
    """What a line says of the paths that it names, and the line as it stands."""

    says: Says
    line: str


class PathRules:
    """Rules by path; the most specific that match a path are asked for."""

    def __init__(self) -> None:
        # By what they say: of 20,000 rules for one path the first of each kind is kept.
        self._plain: dict[str, dict[Says, Rule]] = {}
        self._wild: dict[str, dict[_Pattern, dict[Says, Rule]]] = {}
        self._lengths: set[int] = set()
        self._wildcards = self._parts = 0

    def add(self, path: str, rule: Rule) -> None:
        """Add a rule.

        Args:
            path: as it stands in the file, with ``*`` and a ``$`` at its end as RFC 9309 says. One that
                begins with neither ``/`` nor ``*`` matches nothing.
            rule: what it says.
        """
        if not path.startswith(("/", "*")):
            return
        if "*" not in path and not path.endswith("$"):
            self._add_plain(normalised(path), rule)
            return
        is_anchored = path.endswith("$")
        parts = tuple(normalised(part) for part in (path[:-1] if is_anchored else path).split("*"))
        pattern = _Pattern(len(path), parts, max(parts, key=len), is_anchored)
        of_beginning = self._wild.get(parts[0], {})
        if pattern not in of_beginning:
            if self._wildcards >= MOST_WILDCARDS or self._parts + len(parts) > MOST_PARTS:
                # To apply a no to more paths than it names is no breach.
                if rule.says == "no":
                    self._add_plain(parts[0], rule)
                return
            self._wildcards, self._parts = self._wildcards + 1, self._parts + len(parts)
            self._wild[parts[0]] = of_beginning
            self._lengths.add(len(parts[0]))
        of_beginning.setdefault(pattern, {}).setdefault(rule.says, rule)

    def _add_plain(self, path: str, rule: Rule) -> None:
        self._plain.setdefault(path, {}).setdefault(rule.says, rule)
        self._lengths.add(len(path))

    def of(self, path: str) -> list[Rule]:
        """The longest rules that match; several where they are of one length.

        Args:
            path: with its query, normalised as ``normalised`` does.
        """
        longest = -1
        found: list[Rule] = []
        for length in self._lengths:
            if length > len(path):
                continue
            beginning = path[:length]
            for rules, of_length in self._matching(beginning, path):
                if of_length > longest:
                    longest, found = of_length, list(rules)
                elif of_length == longest:
                    found += rules
        return found

    def _matching(self, beginning: str, path: str) -> Iterator[tuple[Iterable[Rule], int]]:
        if (plain := self._plain.get(beginning)) is not None:
            yield plain.values(), len(beginning)
        if (wild := self._wild.get(beginning)) is not None:
            for pattern in [pattern for pattern in wild if pattern.longest in path]:
                if pattern.matches(path):
                    yield wild[pattern].values(), pattern.length


def path_of(uri: str) -> str:
    """Path and query of a URI, from the slash, normalised for rules."""
    start = uri.find("/", uri.find("://") + 3)
    path = uri[start:] if start >= 0 else "/"
    return normalised(path.partition("#")[0])


def normalised(path: str) -> str:
    """``path`` with what is beyond ASCII escaped, and what need not be escaped as it is (RFC 9309, 2.2.2)."""
    if not path.isascii():
        path = "".join(
            each if each.isascii() else "".join(f"%{byte:02X}" for byte in each.encode("utf-8", "replace"))
            for each in path
        )
    return _ESCAPE.sub(_escape, path) if "%" in path else path


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()

"""A licence of RSL 1.0, which a robots.txt names by ``License: https://…``: what of a site may be trained on.

An XML document of ``content`` elements, each with a ``url`` (a path with the wildcards of robots.txt, or the
same behind a host) and its licences: ``<prohibits type="usage">ai-train</prohibits>`` refuses, as do
``ai-all`` and ``all``. ``permits`` of one of these says yes, and that there are conditions where a
``payment`` stands beside it, or a ``permits`` of some users or countries; a licence that permits other uses
only has conditions, too. Of the ``url`` that match the longest counts, of its licences the most restrictive.
Anything else says nothing known, and refuses nothing. Read where robots.txt is, unless ``consent`` is off;
once a day, run and machine. Source: rslstandard.org/rsl, 1.0 of December 2025.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import Said
from img2dataset.fetching.consent.path_rules import PathRules, Rule, path_of
from img2dataset.types import SAYS, Says

# ``train-ai`` is the word of the drafts before 1.0.
TRAINING = frozenset({"all", "ai-all", "ai-train", "train-ai"})


class RslDocument:
    """A ``SiteFile``, but of no path: robots.txt says where it is."""

    path = ""

    def parse(self, body: bytes) -> RslRules:
        """See ``SiteFile``."""
        # Entities, which are no part of RSL, can make megabytes of a kilobyte. UTF-16 has zeros in between.
        if b"<!DOCTYPE" in body.replace(b"\0", b""):
            return RslRules(None)
        try:
            return RslRules(ElementTree.fromstring(body))
        except (ElementTree.ParseError, ValueError, LookupError):  # the last of an encoding
            return RslRules(None)

    def refusal_without(self, failure: Failure) -> Failure | None:
        """See ``SiteFile``: a licence that cannot be had says nothing."""
        return None


class RslRules:
    """The ``SiteRules`` of one licence.

    Args:
        root: of the document; None: it is none.
    """

    delay_s = 0.0
    more_files: tuple[str, ...] = ()

    def __init__(self, root: ElementTree.Element | None) -> None:
        # By host; of any that names the licence under "".
        self._rules: dict[str, PathRules] = {}
        # At any depth: a feed has them in its items.
        for content in _named(root.iter(), "content") if root is not None else ():
            host, path = _host_and_path(content.get("url", "").strip())
            says, words = _of_licences(content)
            self._rules.setdefault(host, PathRules()).add(path, Rule(says, f"{path} {words}"))

    def refusal(self, uri: str) -> Failure | None:
        """See ``SiteRules``."""
        return failures.OPT_OUT_RSL if any(rule.says == "no" for rule in self._of(uri)) else None

    def said(self, uri: str) -> Iterator[Said]:
        """See ``SiteRules``."""
        for rule in self._of(uri):
            yield Said("rsl", rule.line, rule.says)

    def _of(self, uri: str) -> list[Rule]:
        path = path_of(uri)
        of_host = self._rules.get(urlsplit(uri).netloc.lower())
        rules = of_host.of(path) if of_host is not None else []
        return rules or (self._rules[""].of(path) if "" in self._rules else [])


def _of_licences(content: ElementTree.Element) -> tuple[Says, str]:
    """What the licences of one element say, and that in words."""
    found: list[tuple[Says, str]] = []
    for licence in _named(content, "license"):
        prohibited, permitted = _uses(licence, "prohibits"), _uses(licence, "permits")
        if not TRAINING.isdisjoint(prohibited):
            found.append(("no", f"prohibits {', '.join(prohibited)}"))
        elif permitted:
            pays = any(each.get("type") != "free" for each in _named(licence, "payment"))
            # For some users or countries only.
            restricts = any(each.get("type") != "usage" for each in _named(licence, "permits"))
            is_free = not (TRAINING.isdisjoint(permitted) or pays or restricts)
            found.append(("yes" if is_free else "conditions", f"permits {', '.join(permitted)}"))
    nothing: tuple[Says, str] = ("unknown", "says nothing of use")
    return min(found, key=lambda each: SAYS.index(each[0]), default=nothing)


def _uses(licence: ElementTree.Element, name: str) -> list[str]:
    texts = [each.text or "" for each in _named(licence, name) if each.get("type") == "usage"]
    return [word for text in texts for word in text.lower().replace(",", " ").split()]


def _named(elements: Iterable[ElementTree.Element], name: str) -> Iterator[ElementTree.Element]:
    """Those of a name, in whatever namespace: some leave it out.

    Of a parent they are its children, and no deeper: all that is below each of nested elements would take
    hours to look through in a document of 500 KB.
    """
    return (each for each in elements if str(each.tag).rpartition("}")[2] == name)


def _host_and_path(url: str) -> tuple[str, str]:
    if "://" not in url:
        return "", url
    authority, slash, path = url.partition("://")[2].partition("/")
    return authority.lower(), slash + path or "/"

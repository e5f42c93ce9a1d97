"""/.well-known/tdmrep.json: the TDM Reservation Protocol's file (W3C TDMRep, section 4.2), by path.

A JSON list of objects; ``location`` is a path with the wildcards of robots.txt, ``tdm-reservation`` 1 or 0.
As in robots.txt the longest location that matches counts; of several of one length one that reserves does. A
file that is not there or cannot be had, is no such JSON, or says something else reserves nothing: unknown is
no refusal. Read where ``consent`` is strict and ``respect_tdm`` is not False; once a site, like robots.txt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import Said
from img2dataset.fetching.consent.path_rules import PathRules, Rule, path_of
from img2dataset.types import Says

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

# Some write the number as a text.
_VALUES: dict[str, Says] = {"1": "no", "0": "yes"}


def site_file(settings: FetchSettings) -> TdmrepJson | None:
    """The signal as ``settings`` want it; None if they do not."""
    return TdmrepJson() if settings.consent == "strict" and settings.respect_tdm else None


class TdmrepJson:
    """A ``SiteFile``."""

    path = "/.well-known/tdmrep.json"

    def parse(self, body: bytes) -> TdmrepRules:
        """See ``SiteFile``."""
        try:
            said = json.loads(body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            said = []
        return TdmrepRules(said)

    def refusal_without(self, failure: Failure) -> Failure | None:
        """See ``SiteFile``."""
        return None


class TdmrepRules:
    """The ``SiteRules`` of one file.

    Args:
        said: what stands in it, whatever that is.
    """

    delay_s = 0.0
    more_files: tuple[str, ...] = ()

    def __init__(self, said: Any) -> None:
        self._rules = PathRules()
        self._unknown = PathRules()
        for each in said if isinstance(said, list) else ():
            if not isinstance(each, dict):
                continue
            location, value = each.get("location"), each.get("tdm-reservation")
            if not isinstance(location, str):
                continue
            # A value that is no scalar says nothing, and may be too deep to be written.
            value = None if isinstance(value, (list, dict)) else value
            text = json.dumps({"location": location, "tdm-reservation": value}, ensure_ascii=False)
            says = _VALUES.get(str(value), "unknown")
            (self._unknown if says == "unknown" else self._rules).add(location, Rule(says, text))

    def refusal(self, uri: str) -> Failure | None:
        """See ``SiteRules``."""
        rules = self._rules.of(path_of(uri))
        return failures.OPT_OUT_TDMREP if any(rule.says == "no" for rule in rules) else None

    def said(self, uri: str) -> Iterator[Said]:
        """See ``SiteRules``."""
        path = path_of(uri)
        for rule in (*self._rules.of(path), *self._unknown.of(path)):
            yield Said("tdmrep.json", rule.line, rule.says)

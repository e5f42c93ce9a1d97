"""What robots.txt says of training: ``Content-Signal`` and ``Content-Usage`` in the groups of a file. Pure.

``Content-Signal: ai-train=no, search=yes`` (contentsignals.org; it is in every robots.txt that Cloudflare
manages) and ``Content-Usage: /path train-ai=n`` (draft-ietf-aipref-attach). Each may begin with a path; of
those that match, the longest counts, and of several of one length the most restrictive. A rule without a
path speaks of the whole site. Unknown words say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import Said, content_usage
from img2dataset.fetching.consent.path_rules import PathRules, Rule
from img2dataset.fetching.consent.robots_groups import CONTENT_SIGNAL, CONTENT_USAGE, Line
from img2dataset.types import Says

_SIGNAL = re.compile(r"([^\s,;=]+)[ \t]*=[ \t]*([^\s,;=]+)")
_NAMES = {CONTENT_SIGNAL: "Content-Signal", CONTENT_USAGE: "Content-Usage"}


class ContentRules:
    """The rules of one file for one program.

    Args:
        lines: of its groups; others than these two are passed over.
        is_honoured: whether their no counts.
    """

    def __init__(self, lines: Iterable[Line], *, is_honoured: bool = True) -> None:
        self.is_honoured = is_honoured
        self._rules = {key: PathRules() for key in _SAYS}
        # Lines that say nothing known; for the record.
        self._unknown = {key: PathRules() for key in _SAYS}
        for key, value in lines:
            if key in _SAYS:
                path, rule = _path_and_rule(value)
                says = _SAYS[key](rule)
                rules = self._unknown if says == "unknown" else self._rules
                rules[key].add(path, Rule(says, f"{_NAMES[key]}: {value}"))

    def refusal(self, path: str) -> Failure | None:
        """What they say of a path, normalised with its query as ``PathRules.of`` takes it."""
        if not self.is_honoured:
            return None
        for key, failure in _FAILURES.items():
            if any(rule.says == "no" for rule in self._rules[key].of(path)):
                return failure
        return None

    def said(self, path: str) -> Iterator[Said]:
        """The lines that speak of such a path."""
        for key in _SAYS:
            for rule in (*self._rules[key].of(path), *self._unknown[key].of(path)):
                yield Said(key, rule.line, rule.says, self.is_honoured)


def _path_and_rule(value: str) -> tuple[str, str]:
    if not value.startswith(("/", "*")):
        return "/", value
    path, *rule = value.split(None, 1)
    return path, rule[0] if rule else ""


def _signal_says(rule: str) -> Says:
    said = {value for name, value in _SIGNAL.findall(rule.lower()) if name == "ai-train"}
    if "no" in said:
        return "no"
    return "yes" if "yes" in said else "unknown"


_SAYS: dict[str, Callable[[str], Says]] = {CONTENT_SIGNAL: _signal_says, CONTENT_USAGE: content_usage.says}
_FAILURES = {
    CONTENT_SIGNAL: failures.OPT_OUT_CONTENT_SIGNAL,
    CONTENT_USAGE: failures.OPT_OUT_CONTENT_USAGE,
}

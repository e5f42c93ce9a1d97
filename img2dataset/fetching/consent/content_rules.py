"""What robots.txt says of training: ``Content-Signal`` and ``Content-Usage`` in the groups of a file. Pure.

``Content-Signal: ai-train=no, search=yes`` (contentsignals.org; it is in every robots.txt that Cloudflare
manages) and ``Content-Usage: /path train-ai=n`` (draft-ietf-aipref-attach). Each may begin with a path; of
those that match, the longest counts, and of several of one length the most restrictive. A rule without a
path speaks of the whole site. Unknown words say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent.content_usage import allows_training
from img2dataset.fetching.consent.path_rules import PathRules
from img2dataset.fetching.consent.robots_groups import CONTENT_SIGNAL, CONTENT_USAGE, Line

_SIGNAL = re.compile(r"([^\s,;=]+)[ \t]*=[ \t]*([^\s,;=]+)")
_SIGNAL_VALUES = {"yes": True, "no": False}


class ContentRules:
    """The rules of one file for one program.

    Args:
        lines: of its groups; others than these two are passed over.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._signals: PathRules[bool] = PathRules()
        self._usages: PathRules[bool] = PathRules()
        for key, value in lines:
            if key not in (CONTENT_SIGNAL, CONTENT_USAGE):
                continue
            path, rule = _path_and_rule(value)
            if key == CONTENT_SIGNAL:
                rules, allows = self._signals, _signal_allows(rule)
            else:
                rules, allows = self._usages, allows_training(rule)
            if allows is not None:
                rules.add(path, allows, is_careful=not allows)

    def refusal(self, path: str) -> Failure | None:
        """What they say of a path, normalised with its query as ``PathRules.of`` takes it."""
        if False in self._signals.of(path):
            return failures.OPT_OUT_CONTENT_SIGNAL
        return failures.OPT_OUT_CONTENT_USAGE if False in self._usages.of(path) else None


def _path_and_rule(value: str) -> tuple[str, str]:
    if not value.startswith(("/", "*")):
        return "/", value
    path, *rule = value.split(None, 1)
    return path, rule[0] if rule else ""


def _signal_allows(rule: str) -> bool | None:
    said = [value for name, value in _SIGNAL.findall(rule.lower()) if name == "ai-train"]
    known = [_SIGNAL_VALUES[value] for value in said if value in _SIGNAL_VALUES]
    return all(known) if known else None

"""Why a run has few images, or is slow: the facts of a run come in, findings with their remedies go out.

Pure: the same facts give the same findings, during the run, at its end, and years later. The files
``of_…`` have the rules; docs/findings.md has a section for each kind, by its ``anchor``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from img2dataset.reporting.facts import Facts
from img2dataset.reporting.surroundings import Surroundings

PAGE = "docs/findings.md"
# What has less weight than this is not worth a line.
LEAST_WEIGHT = 0.01


class FindingKind(Enum):
    """What can be found; the value is the anchor of its section in ``PAGE``."""

    WRONG_COLUMN = "no-row-has-a-url"
    NO_NETWORK = "no-way-to-the-network"
    PROXY = "the-proxy-refuses"
    NAMES_FAIL = "names-are-not-found"
    NAMES_SLOW = "names-are-slow"
    CERTIFICATES = "certificates-are-not-trusted"
    CLOCK = "the-clock-is-wrong"
    NOT_ALLOWED = "urls-that-may-not-be-asked-for"
    NOT_CONNECTED = "hosts-cannot-be-connected-to"
    TOO_SLOW = "answers-come-too-late"
    HOST_LIMITS = "a-host-limits"
    FORBIDDEN = "hosts-refuse-this-program"
    LINK_ROT = "links-are-dead"
    SERVERS_FAIL = "servers-fail"
    ODD_ANSWERS = "answers-without-an-image"
    NOT_IMAGES = "pages-instead-of-images"
    UNREADABLE = "images-cannot-be-decoded"
    FILTERED = "images-are-filtered"
    OPT_OUTS = "sites-do-not-want-it"
    SOLD = "images-are-for-sale"
    HASHES = "images-have-changed"
    STORED = "files-cannot-be-read"
    TOO_LARGE = "images-are-too-large"
    OWN_ERRORS = "errors-of-this-program"
    OTHER_FAILURES = "other-failures"
    DUPLICATES = "the-list-repeats-itself"
    MEMORY = "memory-is-short"
    SHARDS_FAILED = "shards-could-not-be-made"
    BOUND_BY_CPU = "bound-by-the-cpu"
    BOUND_BY_NETWORK = "bound-by-the-network"
    BOUND_BY_STORE = "bound-by-the-store"
    BOUND_BY_LIST = "bound-by-the-list"
    BOUND_BY_HOSTS = "bound-by-few-hosts"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    ``weight``: how much it matters, from 0 to 1: the share of rows that it costs, or of time. ``title``: what
    it is, with the numbers, in one line. ``cause``: why that is so, mostly. ``remedy``: what to do about it,
    in the words of the options. ``evidence``: the numbers by name.
    """

    kind: FindingKind
    weight: float
    title: str
    cause: str
    remedy: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Where the documentation says more."""
        return f"{PAGE}#{self.kind.value}"

    def to_document(self) -> dict[str, Any]:
        """This as JSON values."""
        return {
            "kind": self.kind.name.lower(),
            "weight": round(self.weight, 4),
            "title": self.title,
            "cause": self.cause,
            "remedy": self.remedy,
            "page": self.page,
            "evidence": self.evidence,
        }


Rule = Callable[[Facts, Surroundings], "Finding | None"]

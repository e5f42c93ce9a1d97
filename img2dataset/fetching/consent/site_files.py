"""The files in which sites say what is not to be taken: which are kept, and who waits for one. Pure.

Comes in: URIs to judge, and what asking for a file brought. Goes out: allowed, refused, or the file to ask
for first. It does no network itself: a file is fetched by the loop like any row, under the limits below.
Called by ``scheduler``; what the files say is the signals' own matter (``SiteFile``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from img2dataset.failures import Failure
from img2dataset.fetching.consent import SiteFile, SiteRules
from img2dataset.types import ConsentSignal

# RFC 9309, 2.5: at least this much of a robots.txt must be read; nobody writes more. And 2.3.1.2: so many
# hops.
LARGEST_BYTES = 500 * 1024
MAX_REDIRECTS = 5
# Seconds: what a file says, and that it cannot be had.
KEPT_S = 86_400.0
FAILURE_KEPT_S = 300.0
# Parsed rules need some ten times their text.
REMEMBERED_FILES = 10_000
REMEMBERED_BYTES = 16 << 20
Waiting = TypeVar("Waiting")


class Consent(NamedTuple):
    """What is said of a URI: a refusal, or a file that must be asked for first, or neither: it is allowed."""

    refusal: Failure | None = None
    ask_first: str = ""


_ALLOWED = Consent()


@dataclass(frozen=True, slots=True)
class _Kept:
    rules: SiteRules | None
    refusal: Failure | None
    expires: float
    size: int


class SiteFiles(Generic[Waiting]):
    """The files of the sites of a run, as far as they have come, and who waits for the others.

    Args:
        files: the kinds of files that are asked for, in this order.
    """

    def __init__(self, files: Sequence[SiteFile]) -> None:
        self._files = {file.path: file for file in files}
        self._kept: dict[str, _Kept] = {}
        self._size = 0
        self._waiting: dict[str, list[Waiting]] = {}

    def judge(self, uri: str, now: float) -> Consent:
        """What the files of its site say about ``uri``."""
        site = site_of(uri) if self._files else ""
        for path in self._files:
            kept = self._kept.get(site + path)
            if kept is None or now >= kept.expires:
                return Consent(None, site + path)
            refusal = kept.refusal or (kept.rules.refusal(uri) if kept.rules is not None else None)
            if refusal is not None:
                return Consent(refusal)
        return _ALLOWED

    def signals(self, uri: str, now: float) -> Iterator[ConsentSignal]:
        """What the files of its site that have come say about ``uri``; for the record.

        Args:
            now: Unix seconds.
        """
        site = site_of(uri) if self._files else ""
        for path in self._files:
            kept = self._kept.get(site + path)
            if kept is None:
                continue
            if kept.refusal is not None:
                name = path.rpartition("/")[2]
                yield ConsentSignal(name, site + path, kept.refusal, "no", True, now)
            for said in kept.rules.said(uri) if kept.rules is not None else ():
                yield ConsentSignal(said.signal, site + path, said.value, said.says, said.is_honoured, now)

    def wait(self, file_uri: str, waiting: Waiting) -> bool:
        """Let ``waiting`` wait for a file; True if nobody has asked for it yet."""
        group = self._waiting.setdefault(file_uri, [])
        group.append(waiting)
        return len(group) == 1

    def learned(
        self, file_uri: str, body: bytes | None, failure: Failure | None, now: float
    ) -> tuple[list[Waiting], float]:
        """Take what asking for a file brought: a body, or a failure as of a row.

        Returns who waited for it, and the seconds between requests that the site wishes (0: none).
        """
        file = self._files[file_uri[len(site_of(file_uri)) :]]
        rules = file.parse(body) if body is not None else None
        refusal = file.refusal_without(failure) if body is None and failure is not None else None
        self._forget(file_uri)
        size = len(body) if body is not None else 0
        lifetime = KEPT_S if refusal is None else FAILURE_KEPT_S
        self._kept[file_uri] = _Kept(rules, refusal, now + lifetime, size)
        self._size += size
        while len(self._kept) > REMEMBERED_FILES or (self._size > REMEMBERED_BYTES and len(self._kept) > 1):
            self._forget(next(iter(self._kept)))
        return self._waiting.pop(file_uri, []), rules.delay_s if rules is not None else 0.0

    def _forget(self, file_uri: str) -> None:
        forgotten = self._kept.pop(file_uri, None)
        if forgotten is not None:
            self._size -= forgotten.size


def site_of(uri: str) -> str:
    """Scheme, host and port of ``uri`` as one text: what one file speaks for."""
    end = uri.find("/", uri.find("://") + 3)
    scheme, _, authority = (uri[:end] if end >= 0 else uri).partition("://")
    return f"{scheme}://{authority.rpartition('@')[2].lower()}"

"""The files in which sites say what is not to be taken: which are kept, and who waits for one.

Comes in: URIs to judge, and what asking for a file brought. Goes out: allowed, refused, or the file to ask
for first. It does no network itself: a file is fetched by the loop like any row, under the limits below, by
one of the processes of a run (``shared_files``). Called by ``scheduler``; what the files say is the signals'
own matter (``SiteFile``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import SiteFile, SiteRules
from img2dataset.fetching.consent.answers import SiteAnswer
from img2dataset.fetching.consent.parsing import Parsed, ParsingThread, parsed
from img2dataset.fetching.consent.rsl_document import RslDocument
from img2dataset.fetching.consent.shared_files import SharedFiles
from img2dataset.types import ConsentSignal

# RFC 9309, 2.3.1.2: so many hops.
MAX_REDIRECTS = 5
# Seconds: what a file says, and that it cannot be had.
KEPT_S = 86_400.0
FAILURE_KEPT_S = 300.0
# What clocks of machines may differ by: an answer from later than that is of no known age.
CLOCK_DIFFERENCE_S = 60.0
# Parsed rules need some ten times their text.
REMEMBERED_FILES = 10_000
REMEMBERED_BYTES = 16 << 20
# Longer ones are parsed on a thread: 5 ms for this, 150 ms for the longest.
PARSED_AT_ONCE_BYTES = 16 << 10
PARSING_LOOK_S = 0.02
# Files that other processes ask for: when it is looked again, how many of them may then be claimed, since
# their asker may be gone, and when one is asked for here too, since its asker is slow or stopped.
LOOK_AGAIN_S = 0.05
CLAIMS_A_LOOK = 64
LONGEST_WAIT_S = 60.0
Waiting = TypeVar("Waiting")


# Files that have allowed a URI, each with the further files that it names.
Judged: TypeAlias = Mapping[str, tuple[str, ...]]


class Consent(NamedTuple):
    """What is said of a URI: a refusal, or a file that must be asked for first, or neither: it is allowed.

    ``judged``: the files that have allowed it already. To be given to ``judge`` when the file has come: the
    others may have been forgotten by then, to make room.
    """

    refusal: Failure | None = None
    ask_first: str = ""
    judged: Judged | None = None


class Arrived(NamedTuple, Generic[Waiting]):
    """A file has come, or not; ``delay_s``: the seconds between requests that its site wishes (0: none)."""

    file_uri: str
    waiting: list[Waiting]
    delay_s: float


_ALLOWED = Consent()
# What a file is that robots.txt names.
LICENSE: SiteFile = RslDocument()


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
        shared: what the processes of the run share of them; None: this one is alone.
        unix_clock: Unix seconds.
    """

    def __init__(
        self,
        files: Sequence[SiteFile],
        shared: SharedFiles | None = None,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = {file.path: file for file in files}
        self._shared = shared
        self._unix_clock = unix_clock
        self._kept: dict[str, _Kept] = {}
        self._size = 0
        self._waiting: dict[str, list[Waiting]] = {}
        # Those that other processes ask for, since when; the next in turn first.
        self._elsewhere: dict[str, float] = {}
        self._look_due = 0.0
        self._parsing = ParsingThread()
        self._to_ask: list[str] = []  # each is waited for
        self._arrived: list[Arrived[Waiting]] = []

    def judge(self, uri: str, now: float, judged: Judged | None = None) -> Consent:
        """What the files of its site say about ``uri``.

        Args:
            uri: to be requested.
            now: the present.
            judged: of the ``Consent`` that said to ask for a file first.
        """
        file_uris = self._of_site(uri)
        found: dict[str, tuple[str, ...]] = {}
        for file_uri in file_uris:
            more_files = judged.get(file_uri) if judged else None
            if more_files is None:
                kept = self._kept.get(file_uri)
                if kept is None or now >= kept.expires:
                    return Consent(None, file_uri, found or None)
                refusal = kept.refusal or (kept.rules.refusal(uri) if kept.rules is not None else None)
                if refusal is not None:
                    return Consent(refusal)
                more_files = kept.rules.more_files if kept.rules is not None else ()
            found[file_uri] = more_files
            file_uris += (each for each in more_files if each not in file_uris)
        return _ALLOWED

    def signals(self, uri: str, now: float) -> Iterator[ConsentSignal]:
        """What the files of its site that have come say about ``uri``; for the record.

        Args:
            now: Unix seconds.
        """
        file_uris = self._of_site(uri)
        for file_uri in file_uris:
            kept = self._kept.get(file_uri)
            if kept is None:
                continue
            if kept.refusal == failures.OPT_OUT_ROBOTS_UNAVAILABLE:
                # Not what is wrong with the site itself, such as its name: it has said nothing.
                yield ConsentSignal(file_uri.rpartition("/")[2], file_uri, kept.refusal, "no", True, now)
            if kept.rules is not None:
                for said in kept.rules.said(uri):
                    yield ConsentSignal(said.signal, file_uri, said.value, said.says, said.is_honoured, now)
                file_uris += (each for each in kept.rules.more_files if each not in file_uris)

    def wait(self, file_uri: str, waiting: Waiting, now: float) -> None:
        """Let ``waiting`` wait for a file; it is one ``to_ask`` for if nobody does, in any process."""
        group = self._waiting.setdefault(file_uri, [])
        group.append(waiting)
        if len(group) == 1:
            self._look_for(file_uri, now, now)

    def learned(self, file_uri: str, body: bytes | None, failure: Failure | None, now: float) -> None:
        """Take what asking for a file brought: a body, or a failure as of a row."""
        self._take_in(file_uri, SiteAnswer(body, failure, self._unix_clock()), now, is_own=True)

    def withdraw(self, file_uri: str) -> list[Waiting]:
        """Ask for a file no more, as if nobody had; those who have waited for it."""
        if self._shared is not None:
            self._shared.release(file_uri)
        return self._waiting.pop(file_uri, [])

    def to_ask(self) -> list[str]:
        """The files that are to be asked for from here, each once."""
        asked, self._to_ask = self._to_ask, []
        return asked

    def first_waiting(self, file_uri: str) -> Waiting:
        """Who waits for a file that is to be asked for, the longest."""
        return self._waiting[file_uri][0]

    def is_named(self, file_uri: str) -> bool:
        """Whether another file names this one, so that it may be anywhere."""
        return self._file(file_uri) is LICENSE

    def arrived(self, now: float) -> list[Arrived[Waiting]]:
        """The files that have come since the last time, here or elsewhere. To be called each turn."""
        for of_one in self._parsing.done():
            self._keep(of_one, now)
        if self._waits_for_others and now >= self._look_due:
            self._look_due = now + LOOK_AGAIN_S
            self._look_elsewhere(now)
        arrived, self._arrived = self._arrived, []
        return arrived

    def next_due(self, now: float) -> float | None:
        """When there may be something to ask for, or one may have arrived."""
        if self._to_ask or self._arrived:
            return now
        dues = [now + PARSING_LOOK_S] if self._parsing.is_busy else []
        if self._waits_for_others:
            dues.append(max(now, self._look_due))
        return min(dues, default=None)

    def close(self) -> None:
        """End the thread that parses."""
        self._parsing.close()

    @property
    def _waits_for_others(self) -> bool:
        return self._shared is not None and bool(self._elsewhere or self._shared.has_unwritten)

    def _look_elsewhere(self, now: float) -> None:
        shared = self._shared
        assert shared is not None
        shared.flush()
        come = [each for each in self._elsewhere if shared.knows(each)] if shared.catch_up() else []
        in_turn = [each for each, _ in zip(self._elsewhere, range(CLAIMS_A_LOOK), strict=False)]
        for file_uri in dict.fromkeys((*come, *in_turn)):
            since = self._elsewhere.pop(file_uri)
            self._look_for(file_uri, since, now)

    def _look_for(self, file_uri: str, since: float, now: float) -> None:
        """Take the answer that another process has had, or find out who is to ask."""
        shared = self._shared
        if shared is None:
            self._to_ask.append(file_uri)
            return
        answer = self._fresh(file_uri, shared.find(file_uri))
        if answer is None and shared.claim(file_uri):
            # Who had the claim until now has left an answer.
            shared.catch_up()
            answer = self._fresh(file_uri, shared.find(file_uri))
            if answer is not None:
                shared.release(file_uri)
            else:
                self._to_ask.append(file_uri)
        elif answer is None and now - since >= LONGEST_WAIT_S:
            self._to_ask.append(file_uri)
        elif answer is None:
            self._elsewhere[file_uri] = since
        if answer is not None:
            self._take_in(file_uri, answer, now, is_own=False)

    def _fresh(self, file_uri: str, answer: SiteAnswer | None) -> SiteAnswer | None:
        return answer if answer is not None and self._left_s(file_uri, answer) > 0 else None

    def _left_s(self, file_uri: str, answer: SiteAnswer) -> float:
        """The seconds for which an answer counts from now on."""
        age_s = self._unix_clock() - answer.fetched
        if age_s < -CLOCK_DIFFERENCE_S:
            return 0.0
        return lifetime_s(self._file(file_uri), answer) - max(0.0, age_s)

    def _take_in(self, file_uri: str, answer: SiteAnswer, now: float, *, is_own: bool) -> None:
        is_shared = is_own and self._shared is not None
        if answer.body is not None and len(answer.body) > PARSED_AT_ONCE_BYTES:
            self._parsing.begin(self._file(file_uri), file_uri, answer, is_shared)
        else:
            self._keep(parsed(self._file(file_uri), file_uri, answer, is_shared), now)

    def _keep(self, come: Parsed, now: float) -> None:
        file_uri, answer, rules = come.file_uri, come.answer, come.rules
        if come.entry is not None and self._shared is not None:
            self._shared.put(file_uri, come.entry)
        refusal = refusal_of(self._file(file_uri), answer)
        self._forget(file_uri)
        size = len(answer.body) if answer.body is not None else 0
        self._kept[file_uri] = _Kept(rules, refusal, now + self._left_s(file_uri, answer), size)
        self._size += size
        while len(self._kept) > REMEMBERED_FILES or (self._size > REMEMBERED_BYTES and len(self._kept) > 1):
            self._forget(next(iter(self._kept)))
        delay_s = rules.delay_s if rules is not None else 0.0
        self._arrived.append(Arrived(file_uri, self._waiting.pop(file_uri, []), delay_s))

    def _of_site(self, uri: str) -> list[str]:
        """The files of the site of ``uri`` that are wanted; those that they name come behind."""
        site = site_of(uri) if self._files else ""
        return [site + path for path in self._files]

    def _file(self, file_uri: str) -> SiteFile:
        return self._files.get(path_of_file(file_uri), LICENSE)

    def _forget(self, file_uri: str) -> None:
        forgotten = self._kept.pop(file_uri, None)
        if forgotten is not None:
            self._size -= forgotten.size


def refusal_of(file: SiteFile, answer: SiteAnswer) -> Failure | None:
    """The failure of all rows of a site whose file could not be had."""
    return file.refusal_without(answer.failure) if answer.failure is not None else None


def lifetime_s(file: SiteFile, answer: SiteAnswer) -> float:
    """For how many seconds an answer counts, from when it was fetched."""
    return KEPT_S if refusal_of(file, answer) is None else FAILURE_KEPT_S


def path_of_file(file_uri: str) -> str:
    """The path of a site's file."""
    return file_uri[len(site_of(file_uri)) :]


def site_of(uri: str) -> str:
    """Scheme, host and port of ``uri`` as one text: what one file speaks for."""
    end = uri.find("/", uri.find("://") + 3)
    scheme, _, authority = (uri[:end] if end >= 0 else uri).partition("://")
    return f"{scheme}://{authority.rpartition('@')[2].lower()}"

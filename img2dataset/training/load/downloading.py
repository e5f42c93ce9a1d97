"""URLs in, bodies or failures out, for the loaders: many at once, each within its limits.

``EngineDownloader`` is the program's own libcurl loop, as every row of a run goes through it; entries of the
cache that are too old are asked for conditionally (RFC 9110, 13). ``session.SessionDownloader`` is for a
``requests.Session`` of the user's. Called by ``loading``, alone or through the cache.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from img2dataset import failures
from img2dataset.errors import OptionError
from img2dataset.training.load.cache_entry import VALIDATORS, Entry, failed_entry, validator
from img2dataset.training.load.limits import DownloadLimits
from img2dataset.training.load.said_once import SaidOnce
from img2dataset.training.load.session import SessionDownloader
from img2dataset.types import Fetched, Row

if TYPE_CHECKING:
    import requests

    from img2dataset.fetching import Fetcher, FetchSettings
    from img2dataset.fetching.contact_notice import ContactNotice

WAY_TO_GIVE_CONTACT = "put one into user_agent"
NOT_MODIFIED = failures.of_status(304)

# Fetchers of the parent process, seen after a fork: dropping one would close connections of the parent's.
_inherited: list[Any] = []


class Downloader(Protocol):
    """Downloads several URLs at once."""

    def download(
        self, wanted: Sequence[tuple[str, Entry | None]], arrived: Callable[[Entry], None] | None = None
    ) -> list[Entry]:
        """The entries of ``wanted``, in order.

        Args:
            wanted: URLs, each with its outdated entry, which is confirmed if the image has not changed.
            arrived: called, by the same thread, with each entry as soon as it is there.
        """
        ...


def downloader_of(
    limits: DownloadLimits,
    session: requests.Session | None,
    user_agent: str | None,
    sign_requests: str | None = None,
    signature_agent: str | None = None,
) -> Downloader:
    """The downloader for a user's ``session``, or the program's own.

    Raises:
        OptionError: requests cannot be signed as asked for.
        MissingDependency: the package that signs is not installed.
    """
    if session is not None:
        if sign_requests is not None or signature_agent is not None:
            raise OptionError(
                "sign_requests and session are both given; requests of a session are not signed"
            )
        return SessionDownloader(session, limits, {"User-Agent": user_agent} if user_agent else {})
    from img2dataset.fetching import FetchSettings, load_access
    from img2dataset.fetching.hosts.policy_files import load_policies

    # Credentials that the environment names are for runs.
    access = load_access(sign_requests=sign_requests, signature_agent=signature_agent, environment={})
    settings = FetchSettings(
        thread_count=limits.concurrency,
        adaptive_thread_count=False,
        timeout=limits.timeout_s,
        deadline=limits.deadline_s,
        max_download_bytes=limits.max_bytes,
        body_memory=max(limits.max_bytes, 64 << 20),
        retries=limits.retries,
        user_agent=user_agent,
        kept_headers=VALIDATORS,
        policies=load_policies(None),
        access=access,
    )
    return EngineDownloader(settings)


class _Answers:
    """Which download belongs to which call; what the fetcher's thread holds on to, and nothing more."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[int, queue.SimpleQueue[tuple[int, Fetched]]]] = {}
        self._indices = itertools.count()
        self.fetcher: Fetcher | None = None

    def expect(self, number: int, answers: queue.SimpleQueue[tuple[int, Fetched]]) -> int:
        """The index of the row that is the ``number``-th download of a call."""
        index = next(self._indices)
        self._waiting[index] = (number, answers)
        return index

    def deliver(self, fetched: Fetched) -> None:
        number, answers = self._waiting.pop(fetched.row.index)
        answers.put((number, fetched))
        # The memory is the caller's now; it bounds how many it asks for at once.
        if self.fetcher is not None:
            self.fetcher.release(fetched.size)


class EngineDownloader:
    """Downloads with the program's own event loop, which begins at the first use in each process and ends
    with this object.
    """

    def __init__(self, settings: FetchSettings, said_once: SaidOnce | None = None):
        self._settings = settings
        self._said_once = said_once or SaidOnce()
        self._lock = threading.Lock()  # guards what follows
        self._answers: _Answers | None = None
        # What this process has still to say of hosts.
        self._notice: ContactNotice | None = None
        self._process_id = 0

    def download(
        self, wanted: Sequence[tuple[str, Entry | None]], arrived: Callable[[Entry], None] | None = None
    ) -> list[Entry]:
        """Every URL's entry, in order; they are on their way at the same time."""
        queued: queue.SimpleQueue[tuple[int, Fetched]] = queue.SimpleQueue()
        with self._lock:
            answers = self._running()
        rows = [
            Row(0, answers.expect(number, queued), url, _condition_lines(outdated))
            for number, (url, outdated) in enumerate(wanted)
        ]
        assert answers.fetcher is not None
        assert self._notice is not None
        self._notice.look_at(url for url, _ in wanted)
        answers.fetcher.submit(rows)
        entries: dict[int, Entry] = {}
        while len(entries) < len(wanted):
            try:
                number, fetched = queued.get(timeout=0.5)
            except queue.Empty:
                answers.fetcher.check()
                continue
            entries[number] = _entry_of(*wanted[number], fetched)
            if arrived is not None:
                arrived(entries[number])
        return [entries[number] for number in range(len(wanted))]

    def _running(self) -> _Answers:
        from img2dataset.fetching import Fetcher
        from img2dataset.fetching.contact_notice import ContactNotice

        if self._answers is None or self._process_id != os.getpid():
            if self._answers is not None:
                _inherited.append(self._answers)
            answers = _Answers()
            self._notice = ContactNotice(self._settings, self._said_once, WAY_TO_GIVE_CONTACT)
            answers.fetcher = Fetcher(self._settings, answers.deliver)
            weakref.finalize(self, _close_in, os.getpid(), answers.fetcher).atexit = False
            self._answers, self._process_id = answers, os.getpid()
        return self._answers

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings, "said_once": self._said_once}

    def __setstate__(self, state: dict[str, Any]) -> None:
        EngineDownloader.__init__(self, state["settings"], state["said_once"])


def _close_in(process_id: int, fetcher: Fetcher) -> None:
    if os.getpid() == process_id:
        fetcher.close()


def _entry_of(url: str, outdated: Entry | None, fetched: Fetched) -> Entry:
    """What is known of ``url`` now."""
    if outdated is not None and fetched.failure == NOT_MODIFIED:
        return outdated.confirmed(time.time())
    if fetched.body is None:
        return failed_entry(url, fetched.failure or failures.CONNECTION_FAILED)
    etag, last_modified = map(validator, fetched.headers or (None, None))
    return Entry(url, bytes(fetched.body), time.time(), etag, last_modified)


def _condition_lines(outdated: Entry | None) -> tuple[str, ...]:
    if outdated is None:
        return ()
    return tuple(f"{name}: {value}" for name, value in outdated.conditions().items())

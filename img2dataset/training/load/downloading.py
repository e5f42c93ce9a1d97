"""URLs in, bodies or failures out, for the loaders: many at once, each within its limits.

``EngineDownloader`` is the program's own libcurl loop. ``SessionDownloader`` is a ``requests.Session`` of the
user's, with its authentication, or a plain one where the cache must ask "has it changed?". Both give back
``Entry`` values, in the order they were asked for. Called by ``loading``, alone or through the cache.
"""

from __future__ import annotations

import itertools
import os
import queue
import random
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.training.load.cache_entry import Entry
from img2dataset.training.requirements import require
from img2dataset.types import Fetched, Row

if TYPE_CHECKING:
    import requests

    from img2dataset.fetching import Fetcher, FetchSettings

CHUNK_BYTES = 256 * 1024
SESSION_CONCURRENCY = 8

# Fetchers of the parent process, seen after a fork: dropping one would close connections of the parent's.
_inherited: list[Any] = []


@dataclass(frozen=True)
class DownloadLimits:
    """What one download may take: seconds, bytes, and tries after the first. See ``ImageLoader``."""

    timeout_s: float
    deadline_s: float
    max_bytes: int
    retries: int
    concurrency: int


class Downloader(Protocol):
    """Downloads several URLs at once; ``outdated`` entries are asked for anew, if possible conditionally."""

    def download(self, wanted: Sequence[tuple[str, Entry | None]]) -> list[Entry]: ...


def downloader_of(
    limits: DownloadLimits, session: requests.Session | None, user_agent: str | None, revalidates: bool
) -> Downloader:
    """The downloader for a user's ``session``, for asking if images have changed, or the program's own."""
    from img2dataset.fetching import FetchSettings

    settings = FetchSettings(
        thread_count=limits.concurrency,
        adaptive_thread_count=False,
        timeout=limits.timeout_s,
        deadline=limits.deadline_s,
        max_download_bytes=limits.max_bytes,
        body_memory=max(limits.max_bytes, 64 << 20),
        retries=limits.retries,
        user_agent=user_agent,
    )
    if session is not None:
        return SessionDownloader(session, limits, {"User-Agent": user_agent} if user_agent else {})
    if revalidates:
        plain_session = require("requests", "asking whether a cached image has changed").Session()
        return SessionDownloader(plain_session, limits, {"User-Agent": settings.user_agent_header})
    return EngineDownloader(settings)


class _Answers:
    """Which download belongs to which call; what the fetcher's thread holds on to, and nothing more."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[int, queue.SimpleQueue[tuple[int, Fetched]]]] = {}
        self._tickets = itertools.count()
        self.fetcher: Fetcher | None = None

    def expect(self, place: int, answers: queue.SimpleQueue[tuple[int, Fetched]]) -> int:
        """The number under which the ``place``-th download of a call is to be submitted."""
        ticket = next(self._tickets)
        self._waiting[ticket] = (place, answers)
        return ticket

    def deliver(self, fetched: Fetched) -> None:
        place, answers = self._waiting.pop(fetched.row.index)
        answers.put((place, fetched))
        # The memory is the caller's now; it bounds how many it asks for at once.
        if self.fetcher is not None:
            self.fetcher.release(fetched.size)


class EngineDownloader:
    """Downloads with the program's own event loop, which begins at the first use in each process and ends
    with this object.
    """

    def __init__(self, settings: FetchSettings):
        self._settings = settings
        self._lock = threading.Lock()  # guards what follows
        self._answers: _Answers | None = None
        self._process_id = 0

    def download(self, wanted: Sequence[tuple[str, Entry | None]]) -> list[Entry]:
        """Every URL's entry, in order; they are on their way at the same time."""
        queued: queue.SimpleQueue[tuple[int, Fetched]] = queue.SimpleQueue()
        with self._lock:
            answers = self._running()
        rows = [Row(0, answers.expect(place, queued), url) for place, (url, _outdated) in enumerate(wanted)]
        assert answers.fetcher is not None
        answers.fetcher.submit(rows)
        entries: dict[int, Entry] = {}
        while len(entries) < len(wanted):
            try:
                place, fetched = queued.get(timeout=0.5)
            except queue.Empty:
                answers.fetcher.check()
                continue
            url = wanted[place][0]
            if fetched.body is None:
                entries[place] = _failed(url, fetched.failure or failures.CONNECTION_FAILED)
            else:
                entries[place] = Entry(url, bytes(fetched.body), time.time())
        return [entries[place] for place in range(len(wanted))]

    def _running(self) -> _Answers:
        from img2dataset.fetching import Fetcher

        if self._answers is None or self._process_id != os.getpid():
            if self._answers is not None:
                _inherited.append(self._answers)
            answers = _Answers()
            answers.fetcher = Fetcher(self._settings, answers.deliver)
            weakref.finalize(self, _close_in, os.getpid(), answers.fetcher).atexit = False
            self._answers, self._process_id = answers, os.getpid()
        return self._answers

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        EngineDownloader.__init__(self, state["settings"])


def _close_in(process_id: int, fetcher: Fetcher) -> None:
    if os.getpid() == process_id:
        fetcher.close()


class SessionDownloader:
    """Downloads with a ``requests.Session``; every try ends by the deadline, whatever the server does."""

    def __init__(self, session: requests.Session, limits: DownloadLimits, headers: dict[str, str]):
        self._session = session
        self._limits = limits
        self._headers = headers
        self._process_id = os.getpid()

    def download(self, wanted: Sequence[tuple[str, Entry | None]]) -> list[Entry]:
        """Every URL's entry, in order, up to eight on their way at the same time."""
        if self._process_id != os.getpid():
            # Connections cannot be shared with the parent process; the session makes new ones.
            self._session.close()
            self._process_id = os.getpid()
        entries: list[Entry] = []
        for start in range(0, len(wanted), SESSION_CONCURRENCY):
            tasks = [_Task(self._with_retries, *one) for one in wanted[start : start + SESSION_CONCURRENCY]]
            entries.extend(task.result(self._limits) for task in tasks)
        return entries

    def _with_retries(self, url: str, outdated: Entry | None, closing: threading.Event) -> Entry:
        for attempt in range(self._limits.retries + 1):
            entry = self._try(url, outdated)
            if entry.failure is None or not entry.failure.kind.again or attempt == self._limits.retries:
                return entry
            if closing.wait(random.uniform(0, 0.5 * 2**attempt)):
                return entry
        raise AssertionError("unreachable")

    def _try(self, url: str, outdated: Entry | None) -> Entry:
        import requests

        headers = dict(self._headers)
        if outdated is not None and outdated.etag:
            headers["If-None-Match"] = outdated.etag
        if outdated is not None and outdated.last_modified:
            headers["If-Modified-Since"] = outdated.last_modified
        deadline = time.monotonic() + self._limits.deadline_s
        try:
            with self._session.get(
                url, headers=headers, timeout=self._limits.timeout_s, stream=True
            ) as answer:
                if answer.status_code == 304 and outdated is not None:
                    return Entry(url, outdated.body, time.time(), outdated.etag, outdated.last_modified)
                if answer.status_code != 200:
                    return _failed(url, failures.of_status(answer.status_code))
                body = self._read(answer, deadline)
                if isinstance(body, Failure):
                    return _failed(url, body)
                validators = (answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
                return Entry(url, body, time.time(), *validators)
        except (requests.RequestException, OSError, ValueError) as error:
            return _failed(url, failure_of(error))

    def _read(self, answer: requests.Response, deadline: float) -> bytes | Failure:
        """The body, undone of its compression, or why not."""
        announced = answer.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > self._limits.max_bytes:
            return failures.TOO_LARGE_BODY
        body = bytearray()
        for chunk in answer.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.max_bytes:
                return failures.TOO_LARGE_BODY
            if time.monotonic() > deadline:
                return failures.TIMEOUT_DEADLINE
        return bytes(body) if body else failures.EMPTY_BODY


class _Task:
    """One download on a thread that can be left behind: a socket that drips cannot be interrupted."""

    def __init__(self, function: Any, url: str, outdated: Entry | None):
        self._url = url
        self._closing = threading.Event()
        self._answer: queue.SimpleQueue[Entry] = queue.SimpleQueue()

        def run() -> None:
            try:
                entry = function(url, outdated, self._closing)
            except Exception as error:  # a session's own adapter may raise anything
                entry = _failed(url, failure_of(error))
            self._answer.put(entry)

        threading.Thread(target=run, name="image-download", daemon=True).start()

    def result(self, limits: DownloadLimits) -> Entry:
        tries = limits.retries + 1
        try:
            return self._answer.get(timeout=limits.deadline_s * tries + 2.0**limits.retries)
        except queue.Empty:
            self._closing.set()
            return _failed(self._url, failures.TIMEOUT_DEADLINE)


def _failed(url: str, failure: Failure) -> Entry:
    return Entry(url, b"", time.time(), failure=failure)


def failure_of(error: BaseException) -> Failure:
    """An exception of ``requests`` in the small language of failures."""
    import requests

    if isinstance(error, requests.ConnectTimeout):
        return failures.TIMEOUT_CONNECT
    if isinstance(error, requests.Timeout):
        return failures.TIMEOUT_SILENCE
    if isinstance(error, requests.exceptions.SSLError):
        return (
            failures.TLS_HANDSHAKE
            if "CERTIFICATE_VERIFY_FAILED" not in str(error)
            else failures.TLS_CERTIFICATE
        )
    if isinstance(error, requests.TooManyRedirects):
        return failures.REDIRECT_TOO_MANY
    if isinstance(error, (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)):
        return failures.SCHEME_NOT_ALLOWED
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
        return failures.URL_MALFORMED
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return failures.ENCODING_BROKEN
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return failures.CONNECTION_CLOSED_EARLY
    if isinstance(error, requests.ConnectionError):
        text = str(error)
        if "Read timed out" in text:
            return failures.TIMEOUT_SILENCE  # in the middle of a body, requests names it so
        if "NameResolutionError" in text or "getaddrinfo" in text:
            return failures.DNS_NOT_FOUND
        return failures.CONNECTION_REFUSED if "Connection refused" in text else failures.CONNECTION_FAILED
    return failures.OF_SESSION

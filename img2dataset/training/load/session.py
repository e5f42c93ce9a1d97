"""Downloads with a ``requests.Session`` of the user's: its authentication, its proxies, its adapters.

URLs in, ``Entry`` values out, in the order they were asked for. Called by ``loading``;
without such a session nothing here is used.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.training.load.cache_entry import VALIDATORS, Entry, failed_entry, validator
from img2dataset.training.load.limits import DownloadLimits

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 256 * 1024
SESSION_CONCURRENCY = 8
POLL_S = 0.005
_LENGTH = re.compile(r"[0-9]{1,18}")


class SessionDownloader:
    """Downloads with a ``requests.Session``; every try ends by the deadline, whatever the server does."""

    def __init__(self, session: requests.Session, limits: DownloadLimits, headers: dict[str, str]):
        self._session = session
        self._limits = limits
        self._headers = headers
        self._process_id = os.getpid()

    def download(
        self, wanted: Sequence[tuple[str, Entry | None]], arrived: Callable[[Entry], None] | None = None
    ) -> list[Entry]:
        """Every URL's entry, in order, up to eight on their way at the same time."""
        if self._process_id != os.getpid():
            # Connections cannot be shared with the parent process; the session makes new ones.
            self._session.close()
            self._process_id = os.getpid()
        entries: list[Entry] = []
        for start in range(0, len(wanted), SESSION_CONCURRENCY):
            tasks = [_Task(self._with_retries, *one) for one in wanted[start : start + SESSION_CONCURRENCY]]
            entries.extend(_results(tasks, self._limits, arrived))
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

        headers = self._headers | ({} if outdated is None else outdated.conditions())
        deadline = time.monotonic() + self._limits.deadline_s
        try:
            with self._session.get(
                url, headers=headers, timeout=self._limits.timeout_s, stream=True
            ) as answer:
                if answer.status_code == 304 and outdated is not None:
                    return outdated.confirmed(time.time())
                if answer.status_code != 200:
                    return failed_entry(url, failures.of_status(answer.status_code))
                body = self._read(answer, deadline)
                if isinstance(body, Failure):
                    return failed_entry(url, body)
                etag, last_modified = (validator(answer.headers.get(name)) for name in VALIDATORS)
                return Entry(url, body, time.time(), etag, last_modified)
        except (requests.RequestException, OSError, ValueError) as error:
            return failed_entry(url, failure_of(error))

    def _read(self, answer: requests.Response, deadline: float) -> bytes | Failure:
        """The body, undone of its compression, or why not."""
        announced = answer.headers.get("Content-Length", "")
        if _LENGTH.fullmatch(announced) and int(announced) > self._limits.max_bytes:
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
                entry = failed_entry(url, failure_of(error))
            self._answer.put(entry)

        threading.Thread(target=run, name="image-download", daemon=True).start()

    def result(self, is_late: bool) -> Entry | None:
        """The entry, if it is there; one that is late is a failure, and its thread is left behind."""
        with contextlib.suppress(queue.Empty):
            return self._answer.get_nowait()
        if not is_late:
            return None
        self._closing.set()
        return failed_entry(self._url, failures.TIMEOUT_DEADLINE)


def _results(
    tasks: Sequence[_Task], limits: DownloadLimits, arrived: Callable[[Entry], None] | None
) -> list[Entry]:
    """The entries of all tasks, in order; ``arrived`` is called with each as soon as it is there."""
    deadline = time.monotonic() + limits.deadline_s * (limits.retries + 1) + 2.0**limits.retries
    entries: dict[int, Entry] = {}
    while len(entries) < len(tasks):
        is_late = time.monotonic() > deadline
        for number, task in enumerate(tasks):
            entry = None if number in entries else task.result(is_late)
            if entry is not None:
                entries[number] = entry
                if arrived is not None:
                    arrived(entry)
        if len(entries) < len(tasks):
            time.sleep(POLL_S)
    return [entries[number] for number in range(len(tasks))]


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

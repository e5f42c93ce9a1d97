"""Why a name was not found. Called by the fetcher when libcurl could not resolve a host.

libcurl asks the system's resolver and says only that it failed; whether the name does not exist or the
resolver could not tell decides if another try makes sense. So the question is asked once more, on a few
threads of its own, once a host; while more hosts than that wait for their answer the resolver is plainly
overwhelmed, and that is the answer.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.system_errors import MEANS_ERRORS

THREADS = 4
LONGEST_QUEUE = 64
REMEMBERED_HOSTS = 10_000

_NO_SUCH_NAME = frozenset(
    number for name in ("EAI_NONAME", "EAI_NODATA") if (number := getattr(socket, name, None)) is not None
)
Waiting = TypeVar("Waiting")


class NameFailures(Generic[Waiting]):
    """Learns, without blocking the caller, why hosts did not resolve.

    Only the two queues are shared with its threads; the rest belongs to the fetcher's.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._known: set[str] = set()
        self._waiting: dict[str, list[Waiting]] = {}
        self._questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, Failure]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        # What one of the threads has died of.
        self._error: BaseException | None = None

    def ask(self, uri: str, waiting: Waiting) -> Failure | None:
        """The failure of ``uri``'s host; None if ``answered`` will tell it to ``waiting``."""
        host = urlsplit(uri).hostname or ""
        if host in self._known:
            return failures.DNS_NOT_FOUND
        if host in self._waiting:
            self._waiting[host].append(waiting)
            return None
        if len(self._waiting) >= LONGEST_QUEUE:
            return failures.DNS_TEMPORARY
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._answer, name="img2dataset-names", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._waiting[host] = [waiting]
        self._questions.put(host)
        return None

    def answered(self) -> list[tuple[Waiting, Failure]]:
        """Who has an answer by now, with the failure.

        Raises:
            BaseException: what one of the threads has died of; its host would wait for ever.
        """
        if self._error is not None:
            raise self._error
        came: list[tuple[Waiting, Failure]] = []
        while not self._answers.empty():
            host, failure = self._answers.get()
            # What does not exist stays so for this run; what could not be told is asked anew.
            if failure == failures.DNS_NOT_FOUND and len(self._known) < REMEMBERED_HOSTS:
                self._known.add(host)
            came += [(waiting, failure) for waiting in self._waiting.pop(host)]
        return came

    def waiting(self) -> list[Waiting]:
        """Who still waits."""
        return [waiting for group in self._waiting.values() for waiting in group]

    def close(self) -> None:
        """Let the threads end; those inside the system's resolver end when it returns."""
        for _ in self._threads:
            self._questions.put(None)

    def _answer(self) -> None:
        try:
            while (host := self._questions.get()) is not None:
                self._answers.put((host, why_not_resolved(host)))
                self._wake()
        except BaseException as error:
            self._error = error
            self._wake()


def why_not_resolved(host: str) -> Failure:
    """Ask the system's resolver for ``host``, whose lookup has failed before; blocks."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return failures.DNS_NOT_FOUND if error.errno in _NO_SUCH_NAME else failures.DNS_TEMPORARY
    except OSError as error:
        return failures.OUT_OF_MEANS if error.errno in MEANS_ERRORS else failures.DNS_TEMPORARY
    except UnicodeError:
        return failures.DNS_NOT_FOUND
    return failures.DNS_TEMPORARY

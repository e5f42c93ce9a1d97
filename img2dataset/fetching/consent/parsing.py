"""Parsing what a site's file says; of long ones on a thread: the loop of the downloads must not stand still.

Called by ``site_files``. A file of 500 KB takes some 100 ms; a thread of its own lets the loop go on after
5 ms at most. It is started with the first long file, which most runs never meet.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from img2dataset.fetching.consent import SiteFile, SiteRules
from img2dataset.fetching.consent.answers import SiteAnswer


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer, what it says (None: nothing), and the bytes for other processes, if they are to have it."""

    file_uri: str
    answer: SiteAnswer
    rules: SiteRules | None
    entry: bytes | None


def parsed(file: SiteFile, file_uri: str, answer: SiteAnswer, is_shared: bool) -> Parsed:
    """Parse an answer.

    Args:
        file: of which kind it is.
        file_uri: where it was fetched.
        answer: what that has brought.
        is_shared: other processes are to have it.
    """
    rules = file.parse(answer.body) if answer.body is not None else None
    return Parsed(file_uri, answer, rules, answer.to_entry(file_uri) if is_shared else None)


class ParsingThread:
    """Parses one answer after another, beside the thread that owns it."""

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[tuple[SiteFile, str, SiteAnswer, bool] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Parsed | BaseException] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._under_way = 0

    @property
    def is_busy(self) -> bool:
        """Whether ``done`` will have more."""
        return self._under_way > 0

    def begin(self, file: SiteFile, file_uri: str, answer: SiteAnswer, is_shared: bool) -> None:
        """Let an answer be parsed; as ``parsed``."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="site files", daemon=True)
            self._thread.start()
        self._under_way += 1
        self._wanted.put((file, file_uri, answer, is_shared))

    def done(self) -> list[Parsed]:
        """What has been parsed since the last time.

        Raises:
            BaseException: whatever has ended the thread.
        """
        found = []
        while self._under_way and not self._done.empty():
            come = self._done.get()
            if isinstance(come, BaseException):
                raise come
            self._under_way -= 1
            found.append(come)
        return found

    def close(self) -> None:
        """End the thread when it is through."""
        self._wanted.put(None)

    def _work(self) -> None:
        try:
            while (wanted := self._wanted.get()) is not None:
                self._done.put(parsed(*wanted))
        except BaseException as error:
            self._done.put(error)

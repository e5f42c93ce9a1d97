"""Rows that need no request: the body is in the list itself, or in a file or store.

Called by the loop, on its thread. Reads them, and leaves tries and outcomes to the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.ledger import Download
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.stored_files import Reading, StoredReader
from img2dataset.fetching.urls import UrlRefused, decode_data_url, scheme_of


class LocalBodies:
    """Bodies that are not asked of a host.

    Args:
        settings: see ``FetchSettings``.
        again: called with a download that needs more memory, and begins again.
        budget: the memory of bodies.
        deliver: called with a download, its body, and the bytes of memory that are held for it.
        fail: called with a download whose try has failed, and its failure.
        wake: ends the loop's wait.
    """

    def __init__(
        self,
        settings: FetchSettings,
        again: Callable[[Download], None],
        budget: BodyBudget,
        deliver: Callable[[Download, bytes | bytearray, int], None],
        fail: Callable[[Download, Failure], None],
        wake: Callable[[], None],
    ) -> None:
        self._max_body = settings.max_download_bytes
        self._again = again
        self._budget = budget
        self._deliver = deliver
        self._fail = fail
        self._stored: StoredReader[Download] = StoredReader(
            timeout_s=settings.timeout,
            deadline_s=settings.deadline,
            max_body_bytes=settings.max_download_bytes,
            grow=budget.grow,
            reach=Reach(settings.private_addresses == "allow"),
            wake=wake,
        )

    @property
    def in_flight(self) -> int:
        """Rows that were begun and have not ended."""
        return len(self._stored)

    def start(self, download: Download) -> None:
        """Begin ``download``, which has its reservation; ``data:`` ends at once."""
        if scheme_of(download.uri) != "data":
            self._stored.begin(download.uri, download.reservation, download)
            return
        try:
            body = decode_data_url(download.uri, self._max_body)
        except UrlRefused as refusal:
            self._budget.cancel(download.reservation)
            self._fail(download, refusal.failure)
            return
        self._deliver(download, body, download.reservation)

    def look(self, now: float) -> None:
        """Deliver what has been read since the last call, and give up what takes too long."""
        for reading in self._stored.ended(now):
            self._end(reading)

    def shift(self, seconds: float) -> None:
        """Forget that much time, in which the program stood still."""
        self._stored.shift(seconds)

    def close(self) -> None:
        """Let go of everything."""
        self._stored.close()

    def _end(self, reading: Reading[Download]) -> None:
        download = reading.waiting
        if reading.failure is None and not reading.needs:
            self._deliver(download, reading.body, reading.held)
            return
        self._budget.cancel(reading.held)
        if reading.failure is not None:
            self._fail(download, reading.failure)
        else:
            download.reservation = reading.needs
            self._again(download)

"""Rows that need no request: the body is in the list itself, or in a file or store.

Called by the loop, on its thread. Settles them itself, but leaves tries and failures to the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.waiting_rows import Job, PendingRows
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.stored_files import Reading, StoredReader
from img2dataset.fetching.urls import UrlRefused, decode_data_url, scheme_of
from img2dataset.types import Fetched


class OtherSources:
    """Bodies from elsewhere.

    Args:
        settings: see ``FetchSettings``.
        pending: where a row goes back to that needs more memory.
        budget: the memory of bodies.
        hand_over: called with each body.
        fail: called with a job whose try has failed, and its failure.
        wake: ends the loop's wait.
    """

    def __init__(
        self,
        settings: FetchSettings,
        pending: PendingRows,
        budget: BodyBudget,
        hand_over: Callable[[Fetched], None],
        fail: Callable[[Job, Failure], None],
        wake: Callable[[], None],
    ) -> None:
        self._max_body = settings.max_body_bytes
        self._pending = pending
        self._budget = budget
        self._hand_over = hand_over
        self._fail = fail
        self._stored: StoredReader[Job] = StoredReader(
            timeout_s=settings.timeout_s,
            deadline_s=settings.deadline_s,
            max_body_bytes=settings.max_body_bytes,
            grow=budget.grow,
            reach=Reach(settings.private_addresses == "allow"),
            wake=wake,
        )

    @property
    def in_flight(self) -> int:
        """Rows that were begun and have not ended."""
        return len(self._stored)

    def start(self, job: Job) -> None:
        """Begin ``job``, which has its reservation; ``data:`` ends at once."""
        if scheme_of(job.uri) != "data":
            self._stored.begin(job.uri, job.reservation, job)
            return
        try:
            body = decode_data_url(job.uri, self._max_body)
        except UrlRefused as refusal:
            self._budget.cancel(job.reservation)
            self._fail(job, refusal.failure)
            return
        self._deliver(job, body, job.reservation)

    def settle(self, now: float) -> None:
        """Deliver what has been read since the last call, and give up what takes too long."""
        for reading in self._stored.ended(now):
            self._settle(reading)

    def shift(self, seconds: float) -> None:
        """Forget that much time, in which the program stood still."""
        self._stored.shift(seconds)

    def waiting(self) -> list[Job]:
        """The jobs that have not ended."""
        return self._stored.waiting()

    def close(self) -> None:
        """Let go of everything."""
        self._stored.close()

    def _settle(self, reading: Reading[Job]) -> None:
        job = reading.waiting
        if reading.failure is None and not reading.needs and not job.called_off:
            self._deliver(job, reading.body, reading.held)
            return
        self._budget.cancel(reading.held)
        if job.called_off:
            return
        if reading.failure is not None:
            self._fail(job, reading.failure)
        else:
            job.reservation = reading.needs
            self._pending.put_off(job)

    def _deliver(self, job: Job, body: bytes | bytearray, held: int) -> None:
        self._budget.delivered(held, len(body))
        self._hand_over(Fetched(job.row, body, None, len(body)))

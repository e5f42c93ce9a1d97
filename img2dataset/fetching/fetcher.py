"""The fetcher: rows in from any thread, each out once, with its body or its failure.

One thread runs the loop of ``_run``: admit rows as slots and memory allow, carry transfers on, settle
what has ended (delivered, redirected, put off, or waiting for another try), look at the clocks. The
decisions are made by the pure modules beside this one; here they are carried out. Called by the worker.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pycurl

from img2dataset.errors import Img2datasetError
from img2dataset.fetching import failures
from img2dataset.fetching.answers import AnswerPolicy
from img2dataset.fetching.budget import BodyBudget
from img2dataset.fetching.certificates import find_ca_bundle
from img2dataset.fetching.inline import decode_data_url
from img2dataset.fetching.names import NameFailures
from img2dataset.fetching.retry import delay_before_retry, parse_retry_after
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.transfer import LONGEST_DISCARD_S, Transfer
from img2dataset.fetching.transport import Transport
from img2dataset.fetching.urls import UrlRefused, redirect_target, scheme_of, to_uri
from img2dataset.types import Fetched, Row

# How often the clocks are looked at, at most; a cut may come that much late.
CLOCK_INTERVAL_S = 0.25
# A loop this much behind its time was suspended, not the servers: their clocks get the time back.
SUSPENDED_S = 1.0
LONGEST_CLOSE_S = 5.0


@dataclass(slots=True)
class _Job:
    """A row on its way: what to request next, and what has been tried."""

    row: Row
    uri: str
    reservation: int
    tries: int = 1
    redirects: int = 0
    called_off: bool = False


class Fetcher:
    """Downloads rows on a thread of its own.

    Args:
        settings: see ``FetchSettings``.
        deliver: called on the fetcher's thread, exactly once for each submitted row (unless closed
            before); must not block. Typically ``queue.SimpleQueue().put``.

    Every delivered body counts against ``body_budget_bytes`` and ``ready_limit`` until
    ``release(fetched.size)`` is called for it, in any order and from any thread; whoever holds bodies
    back for ever stops the downloads.

    Raises:
        OptionError: the file of trusted certificates cannot be used.
    """

    def __init__(self, settings: FetchSettings, deliver: Callable[[Fetched], None]) -> None:
        self._settings = settings
        self._deliver = deliver
        self._ca_bundle = find_ca_bundle(settings.ca_bundle) if settings.verify_certificates else None
        disallowed = frozenset(
            directive.strip().lower() for directive in settings.disallowed_header_directives
        )
        self._policy = AnswerPolicy(settings.max_body_bytes, disallowed, settings.user_agent_token)
        self._budget = BodyBudget(settings.body_budget_bytes, settings.ready_limit, settings.max_body_bytes)
        self._transport = Transport(settings.concurrency)
        self._names: NameFailures[_Job] = NameFailures(self._wake)
        self._inbox: deque[Row] = deque()
        self._forgotten: set[int] = set()
        self._postponed: deque[_Job] = deque()
        self._retries: list[tuple[float, int, _Job]] = []
        self._retry_count = 0
        self._idle: list[Transfer] = []
        self._running: dict[pycurl.Curl, tuple[Transfer, _Job]] = {}
        self._clock_interval = min(CLOCK_INTERVAL_S, settings.timeout_s / 8, settings.deadline_s / 8)
        self._next_clock = 0.0
        # Guards the inbox and what is to be forgotten, and the end: no row is taken after it, no wake-up sent.
        self._ending = threading.Lock()
        self._closing = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="img2dataset-fetcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows submitted whose transfer has not begun."""
        return len(self._inbox) + len(self._postponed)

    @property
    def in_flight(self) -> int:
        """Transfers running now."""
        return len(self._running)

    def submit(self, rows: Iterable[Row]) -> None:
        """Take rows to download; never blocks. Thread safe.

        Raises:
            Img2datasetError: the fetcher is closed, or its thread has ended by an error.
        """
        rows = list(rows)
        with self._ending:
            if self._ended:
                if self._error is not None:
                    raise Img2datasetError(
                        f"the downloader has ended by an error: {self._error!r}"
                    ) from self._error
                raise Img2datasetError("the downloader is closed; make a new one")
            self._inbox.extend(rows)
            self._transport.wake()

    def forget(self, shard_id: int) -> None:
        """Call off the rows of a shard submitted so far; one that is just ending may still be delivered.

        Rows of the same shard submitted afterwards are new ones. Thread safe.
        """
        with self._ending:
            if not self._ended:
                self._inbox = deque(row for row in self._inbox if row.shard_id != shard_id)
                self._forgotten.add(shard_id)
                self._transport.wake()

    def release(self, size: int) -> None:
        """Give back the memory of a delivered body; 0, the size of failures, is nothing. Thread safe."""
        if size > 0 and self._budget.release(size):
            self._wake()

    def close(self) -> None:
        """Stop the thread and abort its transfers; rows not delivered yet are dropped. Idempotent."""
        self._closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(LONGEST_CLOSE_S)

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # From here on everything runs on the fetcher's thread, except _wake.

    def _wake(self) -> None:
        with self._ending:
            if not self._ended:
                self._transport.wake()

    def _work(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error
            logging.getLogger(__name__).exception("the downloader has ended by an error")
        finally:
            self._end()

    def _run(self) -> None:
        while not self._closing:
            now = time.monotonic()
            self._admit(now)
            for easy, code, message in self._transport.wait(self._time_to_wait(now)):
                self._settle(easy, code, message)
            for job, failure in self._names.answered():
                self._fail(job, failure, None)
            if self._running:
                self._look_at_clocks()

    def _time_to_wait(self, now: float) -> float | None:
        if self._running:
            until_clock = max(0.0, self._next_clock - now)
            return min(until_clock, self._retries[0][0] - now) if self._retries else until_clock
        # Nothing will need the clocks before something new has begun.
        self._next_clock = now + self._clock_interval
        return max(0.0, self._retries[0][0] - now) if self._retries else None

    def _admit(self, now: float) -> None:
        """Begin what may begin: tries that are due and rows put off first, so that none waits for ever."""
        if self._forgotten:
            self._call_off()
        while self._retries and self._retries[0][0] <= now:
            self._postponed.append(heapq.heappop(self._retries)[2])
        free = self._settings.concurrency - len(self._running)
        while free > 0 and self._postponed:
            job = self._postponed[0]
            if not self._budget.may_start(job.reservation):
                return
            self._postponed.popleft()
            self._begin(job, now)
            free -= 1
        while free > 0 and self._inbox:
            usual = self._budget.usual_reservation()
            if not self._budget.may_start(usual):
                return
            row = self._take_row()
            if row is None:
                self._budget.cancel(usual)
                return
            free -= self._admit_row(row, usual, now)

    def _take_row(self) -> Row | None:
        """The next new row; None if there is none, or a shard must be forgotten before any other is begun."""
        with self._ending:
            return None if self._forgotten or not self._inbox else self._inbox.popleft()

    def _call_off(self) -> None:
        with self._ending:
            forgotten, self._forgotten = self._forgotten, set()
        self._postponed = deque(job for job in self._postponed if job.row.shard_id not in forgotten)
        self._retries = [entry for entry in self._retries if entry[2].row.shard_id not in forgotten]
        heapq.heapify(self._retries)
        for job in self._names.waiting():
            job.called_off = job.called_off or job.row.shard_id in forgotten
        for easy, (transfer, job) in list(self._running.items()):
            if job.row.shard_id in forgotten:
                del self._running[easy]
                self._transport.remove(easy)
                self._set_free(transfer)

    def _admit_row(self, row: Row, reserved: int, now: float) -> int:
        """Begin a new row; 1 if it takes a slot, 0 if it is settled at once."""
        try:
            uri = to_uri(row.url)
            if scheme_of(uri) != "data":
                self._begin(_Job(row, uri, reserved), now)
                return 1
            body = decode_data_url(uri, self._settings.max_body_bytes)
        except UrlRefused as refusal:
            self._budget.cancel(reserved)
            self._deliver(Fetched(row, None, str(refusal)))
            return 0
        self._budget.delivered(reserved, len(body))
        self._deliver(Fetched(row, body, None, len(body)))
        return 0

    def _begin(self, job: _Job, now: float) -> None:
        """Start a try of ``job``, whose reservation has been taken."""
        if self._idle:
            transfer = self._idle.pop()
        else:
            transfer = Transfer(self._settings, self._ca_bundle, self._policy, self._budget.grow)
        transfer.clocks.deadline = now + self._settings.deadline_s
        self._request(transfer, job, job.reservation, now)

    def _request(self, transfer: Transfer, job: _Job, reserved: int, now: float) -> None:
        transfer.begin(job.uri, reserved, now)
        self._running[transfer.easy] = (transfer, job)
        self._transport.add(transfer.easy)

    def _settle(self, easy: pycurl.Curl, code: int, message: str) -> None:
        """A transfer has ended, or is ended here: deliver it, follow its redirect, or let it wait."""
        transfer, job = self._running.pop(easy)
        failure = transfer.outcome(code, message)
        answer = transfer.answer
        self._transport.remove(easy)
        if answer is not None and answer.location is not None and failure is None:
            self._redirect(transfer, job, answer.location)
            return
        if transfer.needs:
            # It could not be told before that it is so large. It starts again when there is room.
            job.reservation = transfer.needs
            job.uri, job.redirects = to_uri(job.row.url), 0
            self._set_free(transfer)
            self._postponed.append(job)
        elif failure is None:
            body, held = transfer.take_body(), transfer.reserved
            self._budget.delivered(held, len(body))
            transfer.reserved = 0
            self._idle.append(transfer)
            self._deliver(Fetched(job.row, body, None, len(body)))
        else:
            self._set_free(transfer)
            if failure == failures.DNS_NOT_FOUND:
                known = self._names.ask(job.uri, job)
                if known is None:
                    return
                failure = known
            self._fail(job, failure, answer.retry_after if answer is not None else None)

    def _set_free(self, transfer: Transfer) -> None:
        self._budget.cancel(transfer.reserved)
        transfer.begin_again(0.0)
        transfer.reserved = 0
        self._idle.append(transfer)

    def _redirect(self, transfer: Transfer, job: _Job, location: bytes) -> None:
        """Follow one hop, under the policy of the first and within the row's deadline."""
        try:
            if job.redirects >= self._settings.max_redirects:
                raise UrlRefused(failures.REDIRECT_TOO_MANY)
            uri = redirect_target(job.uri, location)
        except UrlRefused as refusal:
            self._set_free(transfer)
            self._fail(job, str(refusal), None)
            return
        job.uri, job.redirects = uri, job.redirects + 1
        self._request(transfer, job, transfer.reserved, time.monotonic())

    def _fail(self, job: _Job, failure: str, retry_after: str | None) -> None:
        """A try has failed: another one later, or the row's failure."""
        if job.called_off:
            return
        delay = None
        if job.tries <= self._settings.retries:
            asked = parse_retry_after(retry_after, time.time()) if retry_after else None
            delay = delay_before_retry(failure, job.tries, self._settings.retries, asked, random.random)
        if delay is None:
            self._deliver(Fetched(job.row, None, failure))
            return
        job.tries, job.redirects, job.uri = job.tries + 1, 0, to_uri(job.row.url)
        job.reservation = self._budget.usual_reservation()
        self._retry_count += 1
        heapq.heappush(self._retries, (time.monotonic() + delay, self._retry_count, job))

    def _look_at_clocks(self) -> None:
        now = time.monotonic()
        late = now - self._next_clock
        if late < 0:
            return
        self._next_clock = now + self._clock_interval
        if late > SUSPENDED_S:
            for transfer, _ in self._running.values():
                transfer.clocks.shift(late)
                transfer.started_at += late
        for easy, (transfer, _) in list(self._running.items()):
            count = transfer.count
            sent_at = None if count else self._sent_at(transfer, now)
            failure = transfer.clocks.check(now, count, sent_at)
            if transfer.answer is not None and not transfer.answer.wants_body:
                # The answer is known; what follows only keeps the connection, and may not hold the row.
                transfer.discard_until = transfer.discard_until or now + LONGEST_DISCARD_S
                if failure is not None or now >= transfer.discard_until:
                    self._settle(easy, 0, "")
            elif failure is not None:
                transfer.failure = failure
                self._settle(easy, 0, "")

    def _sent_at(self, transfer: Transfer, now: float) -> float | None:
        # Asked of libcurl only when the answer can matter.
        return transfer.sent_at() if now - transfer.started_at >= self._settings.timeout_s else None

    def _end(self) -> None:
        """Stop taking rows. After an error every row that is still inside is delivered as a failure."""
        with self._ending:
            self._ended = True
        rows = [job.row for _, job in self._running.values()]
        rows += [job.row for job in (*self._postponed, *self._names.waiting())]
        rows += [job.row for _, _, job in self._retries] + list(self._inbox)
        if self._error is not None:
            for row in rows:
                with contextlib.suppress(Exception):
                    self._deliver(Fetched(row, None, failures.INTERNAL_ERROR))
        self._inbox.clear()
        self._names.close()
        slots = [transfer for transfer, _ in self._running.values()]
        for transfer in slots:
            with contextlib.suppress(pycurl.error):
                self._transport.remove(transfer.easy)
        self._running.clear()
        for transfer in (*slots, *self._idle):
            transfer.easy.close()
        self._transport.close()

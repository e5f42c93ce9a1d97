"""The download loop: what ``Fetcher`` runs on its thread.

One turn: admit rows as slots and memory allow, carry transfers on, settle what has ended (delivered,
redirected, put off, or waiting for another try), look at the clocks. The decisions are made by the pure
modules beside this one; here they are carried out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pycurl

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent.robots_txt import MAX_REDIRECTS
from img2dataset.fetching.dns.system_resolver import NameFailures
from img2dataset.fetching.hosts.politeness import leads_elsewhere
from img2dataset.fetching.http.contradictions import CONTRADICTIONS, undone
from img2dataset.fetching.http.cookies import with_cookies
from img2dataset.fetching.http.destinations import Destination, Destinations
from img2dataset.fetching.http.response_head import kept_values
from img2dataset.fetching.http.transfer import Transfer
from img2dataset.fetching.http.transport import Transport
from img2dataset.fetching.requests.autotuning import Adapting
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.local_bodies import OtherSources
from img2dataset.fetching.requests.repeats import Holding
from img2dataset.fetching.requests.scheduler import Admission
from img2dataset.fetching.requests.time_limits import ClockWatch
from img2dataset.fetching.requests.transfer_pool import TransferPool
from img2dataset.fetching.requests.tries import Tries
from img2dataset.fetching.requests.waiting_rows import Job, PendingRows
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import UrlRefused, redirect_target
from img2dataset.types import Fetched, Row

# While enough bodies wait for their pixels nothing is urgent: what the sockets have is left to gather, so
# that a turn carries many transfers on. 0.5 ms of CPU a row without, 0.2 with it.
GATHERING_S = 0.02
# So that it can be seen from outside that the thread moves.
LONGEST_SLEEP_S = 5.0


class DownloadLoop:
    """Downloads what ``waiting_rows`` holds; everything but ``wake`` belongs to one thread."""

    def __init__(
        self,
        settings: FetchSettings,
        ca_bundle: str | None,
        pending: PendingRows,
        budget: BodyBudget,
        transport: Transport,
        deliver: Callable[[Fetched], None],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._pending = pending
        self._budget = budget
        self._transport = transport
        self._deliver = deliver
        self._admission = Admission(
            settings, pending, settings.most_concurrency, budget.usual_reservation, self._refuse
        )
        self._tries = Tries(settings, pending, self._admission.aim, budget.usual_reservation)
        self._names: NameFailures[Job] = NameFailures(wake)
        self._destinations: Destinations[tuple[Transfer, Job]] = Destinations(settings, transport.watch)
        self._holding = Holding(
            settings.network_patience_s, self._tries, lambda: self._destinations.name_servers
        )
        # Transfers whose host is being looked up: they have their slot, but libcurl has not seen them.
        self._looking_up = 0
        self._sources = OtherSources(settings, pending, budget, self._hand_over, self._fail_elsewhere, wake)
        self._pool = TransferPool(settings, ca_bundle, budget.grow)
        self._running: dict[pycurl.Curl, tuple[Transfer, Job]] = {}
        self._watch = ClockWatch(settings, self._admission.heard_from)
        self._limit = settings.concurrency
        self._adapting: Adapting | None = None
        if settings.adaptive_concurrency:
            self._adapting = Adapting(settings.concurrency, deliver)
            self._deliver = self._adapting.deliver
        # Grows with each turn: whoever waits for rows sees by it that the thread moves.
        self.turns = 0
        self._looked_at = time.monotonic()

    @property
    def limit(self) -> int:
        """Transfers that may be in flight now, beside silent ones."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """Transfers running now, those whose host is being looked up, and what is read from elsewhere."""
        return len(self._running) + self._looking_up + self._sources.in_flight

    @property
    def set_aside(self) -> int:
        """Rows that wait for their host. Any thread."""
        return self._admission.set_aside

    @property
    def waiting(self) -> int:
        """New rows that have left ``waiting_rows`` and not begun. Any thread."""
        return self._admission.waiting

    def take_back(self, count: int, even_on_trial: bool) -> list[Row]:
        """Give rows back that have not been requested; see ``Admission.take_back``. Any thread."""
        return self._admission.take_back(count, even_on_trial)

    def turn(self) -> None:
        """Do what there is to do, and wait until there is more."""
        self.turns += 1
        now = time.monotonic()
        self._admit(now)
        if self._budget.is_well_stocked:
            time.sleep(GATHERING_S)
        wait = self._time_to_wait(now)
        finished = self._transport.wait(wait)
        self._look_at_machine(wait)
        for easy, code, message in finished:
            self._settle(easy, code, message)
        for job, failure in self._names.answered():
            self._fail_elsewhere(job, failure)
        if self._sources.in_flight:
            self._sources.settle(time.monotonic())
        if self._looking_up:
            self._follow_answers(time.monotonic())
        if self._running or self._sources.in_flight:
            for easy in self._watch.look(self._running, time.monotonic()):
                self._settle(easy, 0, "")

    def _look_at_machine(self, asked_s: float) -> None:
        now = time.monotonic()
        overslept_s = now - self._looked_at - asked_s
        self._looked_at = now
        if self._holding.look(now, overslept_s):
            self._sources.shift(max(0.0, overslept_s))

    def close(self) -> None:
        """Abort every transfer and close every connection."""
        self._names.close()
        slots = [transfer for transfer, _ in self._running.values()]
        found_later = [transfer for transfer, _ in self._destinations.waiting()]
        self._destinations.close()
        self._sources.close()
        self._running.clear()
        for transfer in slots:
            with contextlib.suppress(pycurl.error):
                self._transport.remove(transfer.easy)
        for transfer in (*slots, *found_later):
            transfer.easy.close()
        self._pool.close()
        self._admission.close()
        self._transport.close()

    def _time_to_wait(self, now: float) -> float:
        dues = (
            self._admission.next_due(now),
            self._destinations.next_due(),
            self._holding.next_due(now),
            now + LONGEST_SLEEP_S,
        )
        due = min(each for each in dues if each is not None)
        if not self._running and not self._sources.in_flight:
            self._watch.rest(now)
            return max(0.0, due - now)
        look = self._watch.next_look
        return max(0.0, min(look, due) - now)

    def _admit(self, now: float) -> None:
        """Begin what may begin."""
        if forgotten := self._pending.take_forgotten():
            self._call_off(forgotten)
        beyond = self._watch.beyond(self._limit)
        if self._adapting is not None:
            self._limit = self._adapting.look(now, self.in_flight - beyond, self._budget.ready)
        most = min(self._limit + beyond, self._holding.most_transfers)
        while self.in_flight < most and (job := self._admission.next(now)) is not None:
            if not self._holding.may_begin(now) or not self._budget.may_start(job.reservation):
                return
            self._admission.take()
            if job.host:
                self._begin(job, now)
            else:
                self._sources.start(job)

    def _call_off(self, forgotten: set[int]) -> None:
        self._admission.forget(forgotten)
        looked_up = [job for _, job in self._destinations.waiting()]
        for job in (*self._names.waiting(), *looked_up, *self._sources.waiting()):
            job.called_off = job.called_off or job.row.shard_id in forgotten
        for easy, (transfer, job) in list(self._running.items()):
            if job.row.shard_id in forgotten:
                del self._running[easy]
                self._transport.remove(easy)
                self._set_free(transfer)
                self._admission.called_off(job)

    def _refuse(self, row: Row, failure: Failure) -> None:
        self._deliver(Fetched(row, None, failure))

    def _hand_over(self, fetched: Fetched) -> None:
        self._deliver(fetched)

    def _begin(self, job: Job, now: float) -> None:
        """Start a try of ``job``, whose reservation has been taken."""
        transfer = self._pool.take(job)
        time_left = self._settings.deadline_s if job.time_left is None else job.time_left
        job.time_left = None
        transfer.clocks.deadline = now + time_left
        self._request(transfer, job, job.reservation, now)

    def _request(self, transfer: Transfer, job: Job, reserved: int, now: float) -> None:
        """Find the host of ``job`` and go there."""
        self._pool.begin(transfer, job, reserved, now)
        destination = self._destinations.find(job.uri, job.after_public, (transfer, job), now, job.proxied)
        if destination is None:
            self._looking_up += 1
        else:
            self._connect(transfer, job, destination, now)

    def _follow_answers(self, now: float) -> None:
        for (transfer, job), destination in self._destinations.answered(now):
            self._looking_up -= 1
            if job.called_off:
                self._set_free(transfer)
                self._admission.called_off(job)
            else:
                if destination.failure not in failures.OF_NAMES - {failures.DNS_NOT_FOUND}:
                    self._holding.names_answered(now)
                self._connect(transfer, job, destination, now)

    def _connect(self, transfer: Transfer, job: Job, destination: Destination, now: float) -> None:
        if destination.failure is not None:
            started_at = transfer.started_at
            self._set_free(transfer)
            if not self._is_held(job, destination.failure, started_at):
                self._admission.leave(job, started_at, destination.failure, None)
                self._fail(job, destination.failure, None)
            return
        transfer.aim(destination.entries, job.after_public, now - transfer.started_at, now)
        self._running[transfer.easy] = (transfer, job)
        self._transport.add(transfer.easy)

    def _settle(self, easy: pycurl.Curl, code: int, message: str) -> None:
        """A transfer has ended, or is ended here: deliver it, follow its redirect, or let it wait."""
        transfer, job = self._running.pop(easy)
        if self._pool.may_send_again(transfer, job, code):
            self._transport.remove(easy)
            job.time_left = transfer.clocks.deadline - time.monotonic()
            self._set_free(transfer)
            self._admission.called_off(job)
            self._pending.put_off(job)
            return
        failure, answer, started_at = transfer.outcome(code, message), transfer.answer, transfer.started_at
        self._transport.remove(easy)
        if answer is not None:
            self._holding.answered(job, transfer.easy.getinfo(pycurl.PRIMARY_IP), time.monotonic())
        if answer is not None and answer.location is not None and failure is None:
            self._admission.leave(job, started_at, None, answer)
            address = transfer.easy.getinfo(pycurl.PRIMARY_IP)
            job.after_public = job.after_public or self._destinations.is_public(job.uri, address, job.proxied)
            job.cookies = with_cookies(job.cookies, answer.cookies, job.uri, time.time())
            self._redirect(transfer, job, answer.location)
        elif transfer.needs:
            # It could not be told before that it is so large. It starts again when there is room.
            job.reservation = transfer.needs
            self._set_free(transfer)
            self._admission.called_off(job)
            self._tries.restart(job)
            self._pending.put_off(job)
        elif failure in CONTRADICTIONS and not (job.as_sent or job.robots_of):
            job.as_sent = failure
            self._set_free(transfer)
            self._admission.called_off(job)
            self._tries.restart(job)
            self._pending.put_off(job)
        elif failure is None:
            self._admission.leave(job, started_at, None, answer)
            self._succeed(transfer, job)
        else:
            self._set_free(transfer)
            if self._is_held(job, failure, started_at) or self._admission.leave(
                job, started_at, failure, answer
            ):
                return
            if failure == failures.DNS_NOT_FOUND:
                known = self._names.ask(job.uri, job)
                if known is None:
                    return
                failure = known
            self._fail(job, failure, answer.retry_after if answer is not None else None)

    def _is_held(self, job: Job, failure: Failure, started_at: float) -> bool:
        """Whether ``job`` is tried again because it was not its host that failed."""
        if not self._holding.holds(job, failure, started_at, self.in_flight):
            return False
        self._admission.called_off(job)
        return True

    def _succeed(self, transfer: Transfer, job: Job) -> None:
        body, held = transfer.take_body(), transfer.reserved
        headers = kept_values(transfer.head, self._settings.kept_headers)
        if job.robots_of:
            self._set_free(transfer)
            self._admission.learned_robots(job.robots_of, bytes(body), None)
            return
        if job.as_sent:
            unfolded = undone(body, self._settings.max_body_bytes)
            if unfolded is None:
                self._set_free(transfer)
                self._fail(job, failures.TOO_LARGE_BODY)
                return
            if not unfolded:
                self._set_free(transfer)
                self._fail(job, failures.EMPTY_BODY)
                return
            body = unfolded
        self._budget.delivered(held, len(body))
        transfer.reserved = 0
        self._pool.put_back(transfer)
        self._hand_over(Fetched(job.row, body, None, len(body), headers))

    def _set_free(self, transfer: Transfer) -> None:
        self._budget.cancel(transfer.reserved)
        transfer.begin_again(0.0)
        transfer.reserved = 0
        self._pool.put_back(transfer)

    def _redirect(self, transfer: Transfer, job: Job, location: bytes) -> None:
        """Follow one hop, under the policy of the first and within the row's deadline."""
        now = time.monotonic()
        try:
            if job.redirects >= (MAX_REDIRECTS if job.robots_of else self._settings.max_redirects):
                raise UrlRefused(failures.REDIRECT_TOO_MANY)
            uri = redirect_target(job.uri, location)
        except UrlRefused as refusal:
            self._set_free(transfer)
            self._fail(job, refusal.failure, None)
            return
        job.redirects += 1
        job.foreign = job.foreign or leads_elsewhere(job.uri, uri)
        job.time_left = transfer.clocks.deadline - now
        self._admission.aim(job, uri)
        if not self._pool.fits(transfer, job):
            self._set_free(transfer)
            self._pending.put_off(job)
        elif self._admission.enter(job, now):
            job.time_left = None
            self._request(transfer, job, transfer.reserved, now)
        else:
            self._set_free(transfer)

    def _fail_elsewhere(self, job: Job, failure: Failure) -> None:
        if job.called_off:
            return
        if not self._holding.holds(job, failure, time.monotonic(), self.in_flight):
            self._fail(job, failure)

    def _fail(self, job: Job, failure: Failure, retry_after: str | None = None) -> None:
        """A try has failed: another one later, or the row's failure."""
        if job.called_off:
            return
        if not self._tries.again(job, failure, retry_after):
            self._admission.refuse(job, failure, time.monotonic())

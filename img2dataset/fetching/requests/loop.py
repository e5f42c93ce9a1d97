"""The download loop: what ``Fetcher`` runs on its thread. Here is done what others have decided.

A turn: begin what may begin (``scheduler``, ``body_memory``), carry transfers on (``in_flight``), do what
follows from those that have ended (``outcomes``, ``network``), look at the clocks (``time_limits``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pycurl

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import known_headers
from img2dataset.fetching.dns.system import NameFailures
from img2dataset.fetching.http.destinations import Destination
from img2dataset.fetching.http.response import undone
from img2dataset.fetching.http.response_head import Answer, is_recorded, kept_values, signals_in
from img2dataset.fetching.http.transfer import Transfer
from img2dataset.fetching.http.transport import Transport
from img2dataset.fetching.requests.autotuning import Adapting
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.in_flight import InFlight
from img2dataset.fetching.requests.ledger import Download, Ledger, Stage
from img2dataset.fetching.requests.local_bodies import LocalBodies
from img2dataset.fetching.requests.network import REPEAT_AFTER_S, OwnFailures
from img2dataset.fetching.requests.outcomes import Step, after_hop, another_try_s, next_hop, next_step
from img2dataset.fetching.requests.scheduler import Scheduler
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import UrlRefused
from img2dataset.types import Fetched, Row

# While enough bodies wait for their pixels nothing is urgent: what the sockets have is left to gather, so
# that a turn carries many transfers on. 0.5 ms of CPU a row without, 0.2 with it.
GATHERING_S = 0.02
# So that it can be seen from outside that the thread moves.
LONGEST_SLEEP_S = 5.0


class DownloadLoop:
    """Downloads what the ledger holds; belongs to one thread but for ``take_back`` and the numbers."""

    def __init__(
        self,
        settings: FetchSettings,
        ca_bundle: str | None,
        ledger: Ledger,
        budget: BodyBudget,
        transport: Transport,
        deliver: Callable[[Fetched], None],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._budget = budget
        self._transport = transport
        self._scheduler = Scheduler(settings, ledger, budget.usual_reservation, self._end_failed)
        self._names: NameFailures[Download] = NameFailures(wake)
        self._transfers = InFlight(
            settings, ca_bundle, budget, transport, self._scheduler.heard_from, self._not_found
        )
        self._pool = self._transfers.pool
        names = self._transfers.destinations
        self._own_failures = OwnFailures(settings.network_patience, lambda: names.name_servers)
        again = self._scheduler.put_ready
        self._local = LocalBodies(settings, again, budget, self._end_body, self._fail, wake)
        # Transfers that may be in flight now, beside silent ones.
        self.limit = settings.thread_count
        self._adapting = None
        if settings.adaptive_thread_count:
            self._adapting = Adapting(settings.thread_count, deliver)
        # What answers say of training that goes into the metadata.
        self._recorded = known_headers(settings) if settings.save_consent else ()
        self._deliver = deliver if self._adapting is None else self._adapting.deliver
        self.turns = 0  # whoever waits for rows sees by it that the thread moves
        self._looked_at = time.monotonic()

    @property
    def in_flight(self) -> int:
        """Transfers running now, those whose host is being looked up, and what is read from elsewhere."""
        return self._pool.in_use + self._local.in_flight

    @property
    def looked_up(self) -> int:
        """Those of them whose host is being looked up."""
        return max(0, self._pool.in_use - len(self._transfers.running))

    def take_back(self, count: int, even_on_trial: bool) -> list[Row]:
        """Give rows back that have not been requested; see ``Scheduler.take_back``. Any thread."""
        return self._scheduler.take_back(count, even_on_trial)

    def turn(self) -> None:
        """Do what there is to do, and wait until there is more."""
        self.turns += 1
        now = time.monotonic()
        self._scheduler.look_at_site_files(now)
        self._begin_what_may_begin(now)
        if self._budget.is_well_stocked:
            time.sleep(GATHERING_S)
        wait_s = self._time_to_wait(now)
        ended = self._transport.wait(wait_s)
        self._look_at_machine(wait_s)
        for easy, code, message in ended:
            self._end(easy, code, message)
        for download, failure in self._names.answered():
            self._fail(download, failure)
        if self._local.in_flight:
            self._local.look(time.monotonic())
        if self._transfers.are_looked_up:
            self._follow_lookups(time.monotonic())
        if self._transfers.running or self._local.in_flight:
            for easy in self._transfers.overdue(time.monotonic()):
                self._end(easy, 0, "")
            for download in self._transfers.stop_at_turn_end(time.monotonic()):
                self._scheduler.put_off(download)

    def close(self) -> None:
        """Abort every transfer and close every connection."""
        self._names.close()
        self._local.close()
        self._transfers.close()
        self._scheduler.close()
        self._transport.close()

    def _look_at_machine(self, asked_s: float) -> None:
        now = time.monotonic()
        overslept_s = now - self._looked_at - asked_s
        self._looked_at = now
        if self._own_failures.look(now, overslept_s):
            self._local.shift(max(0.0, overslept_s))

    def _time_to_wait(self, now: float) -> float:
        dues = [self._scheduler.next_due(now), self._transfers.destinations.next_due()]
        dues += [self._own_failures.next_due(now), now + LONGEST_SLEEP_S, self._transfers.next_turn_end]
        if self._transfers.running or self._local.in_flight:
            dues.append(self._transfers.watch.next_look)
        else:
            self._transfers.watch.rest(now)
        return max(0.0, min(due for due in dues if due is not None) - now)

    def _begin_what_may_begin(self, now: float) -> None:
        if self._ledger.take_forgotten():
            for download in self._transfers.abort_closed():
                self._scheduler.release(download)
        beyond = self._transfers.watch.beyond(self.limit)
        if self._adapting is not None:
            self.limit = self._adapting.look(now, self.in_flight - beyond, self._budget.ready)
        most = min(self.limit + beyond, self._own_failures.most_transfers)
        while self.in_flight < most and (following := self._scheduler.next(now)) is not None:
            if not self._own_failures.may_begin(now) or not self._budget.may_start(following.reservation):
                return
            self._scheduler.take()
            if following.host:
                self._transfers.begin(following, now)
            else:
                self._local.start(following)

    def _follow_lookups(self, now: float) -> None:
        for (transfer, download), destination in self._transfers.destinations.answered(now):
            if not download.is_open:
                self._transfers.set_free(transfer)
                self._scheduler.release(download)
                continue
            if now >= download.turn_ends:
                self._transfers.set_free(transfer)
                self._scheduler.put_off(download)
                continue
            if destination.failure not in failures.OF_NAMES - {failures.DNS_NOT_FOUND}:
                self._own_failures.names_answered(now)
            self._transfers.connect(transfer, download, destination, now)

    def _not_found(self, transfer: Transfer, download: Download, destination: Destination) -> None:
        failure, started_at = destination.failure, transfer.started_at
        assert failure is not None
        self._transfers.set_free(transfer)
        if not self._is_no_outcome(download, failure, started_at, None):
            self._try_again_or_end(download, failure, None)

    def _end(self, easy: pycurl.Curl, code: int, message: str) -> None:
        """A transfer has ended, or is ended here: do what follows."""
        transfer, download = self._transfers.running.pop(easy)
        download.received = transfer.received_bytes()
        if self._pool.may_send_again(transfer, download, code):
            self._transport.remove(easy)
            download.time_left_s = transfer.clocks.deadline - time.monotonic()
            self._request_anew(transfer, download)
            return
        failure, answer = transfer.outcome(code, message), transfer.response.answer
        self._transport.remove(easy)
        if answer is not None:
            self._own_failures.answered(download, easy.getinfo(pycurl.PRIMARY_IP), time.monotonic())
        step = next_step(download, failure, answer, transfer.response.needs)
        if self._recorded and answer is not None and is_recorded(answer):
            download.hear(signals_in(transfer.response.head, answer.status, self._recorded, time.time()))
        if step is Step.REDIRECT:
            assert answer is not None
            self._scheduler.leave(download, transfer.started_at, None, answer)
            self._redirect(transfer, download, answer)
        elif step is Step.BODY:
            self._scheduler.leave(download, transfer.started_at, None, answer)
            self._take_body(transfer, download)
        elif step is Step.FAILURE:
            assert failure is not None
            started_at = transfer.started_at
            self._transfers.set_free(transfer)
            if not self._is_no_outcome(download, failure, started_at, answer):
                self._end_without_body(download, failure, answer)
        else:
            if step is Step.AS_SENT:
                download.as_sent = failure
            else:
                download.reservation = transfer.response.needs
            self._request_anew(transfer, download, from_beginning=True)

    def _request_anew(self, transfer: Transfer, download: Download, from_beginning: bool = False) -> None:
        """Let ``download`` go on as soon as there is room; ``from_beginning``: without its redirects."""
        self._transfers.set_free(transfer)
        self._scheduler.release(download)
        if from_beginning:
            self._scheduler.start_again(download)
        self._scheduler.put_ready(download)

    def _redirect(self, transfer: Transfer, download: Download, answer: Answer) -> None:
        """Follow one hop, under the policy of the first and within the row's deadline."""
        now = time.monotonic()
        assert answer.location is not None
        address = transfer.easy.getinfo(pycurl.PRIMARY_IP)
        was_public = self._transfers.destinations.is_public(download.uri, address, download.proxied)
        try:
            uri = next_hop(download, answer.location, self._settings.max_redirects)
        except UrlRefused as refusal:
            self._transfers.set_free(transfer)
            self._try_again_or_end(download, refusal.failure, None)
            return
        download.redirects = after_hop(download, uri, answer, was_public, time.time())
        self._scheduler.aim(download, uri)
        download.time_left_s = transfer.clocks.deadline - now
        fits = self._pool.fits(transfer, download)
        if fits and self._scheduler.enter(download, now):
            self._transfers.go_on(transfer, download, now)
            return
        self._transfers.set_free(transfer)
        if not fits:
            self._scheduler.put_ready(download)

    def _take_body(self, transfer: Transfer, download: Download) -> None:
        body = transfer.response.take_body()
        if download.site_file:
            self._transfers.set_free(transfer)
            self._scheduler.learned(download, bytes(body), None)
            return
        unfolded = undone(body, self._settings.max_download_bytes) if download.as_sent else body
        if not unfolded:
            self._transfers.set_free(transfer)
            failure = failures.TOO_LARGE_BODY if unfolded is None else failures.EMPTY_BODY
            self._try_again_or_end(download, failure, None)
            return
        headers = kept_values(transfer.response.head, self._settings.kept_headers)
        self._end_body(download, unfolded, self._transfers.hand_over(transfer), headers)

    def _is_no_outcome(
        self, download: Download, failure: Failure, started_at: float, answer: Answer | None
    ) -> bool:
        """Whether a request failed by this machine or by its host's pace; then it is made again."""
        if self._own_failures.explain(download, failure, started_at, self.in_flight):
            self._scheduler.release(download)
            self._scheduler.put_later(download, time.monotonic() + REPEAT_AFTER_S)
            return True
        return self._scheduler.leave(download, started_at, failure, answer)

    def _end_without_body(self, download: Download, failure: Failure, answer: Answer | None) -> None:
        if failure == failures.DNS_NOT_FOUND:
            reason = self._names.ask(download.uri, download)
            if reason is None:
                self._ledger.move(download, Stage.FOR_SOMETHING_ELSE)
                return
            failure = reason
        self._try_again_or_end(download, failure, answer.retry_after if answer is not None else None)

    def _fail(self, download: Download, failure: Failure) -> None:
        """A try has failed that took no slot of a host."""
        now = time.monotonic()
        if download.is_open and self._own_failures.explain(download, failure, now, self.in_flight):
            self._scheduler.put_later(download, now + REPEAT_AFTER_S)
        elif download.is_open:
            self._try_again_or_end(download, failure, None)

    def _try_again_or_end(self, download: Download, failure: Failure, retry_after: str | None) -> None:
        """A try has failed: another one later, or the row's failure."""
        delay_s = another_try_s(
            download, failure, self._settings.retries, retry_after, time.time(), random.random
        )
        if delay_s is None or not download.is_open:
            self._scheduler.refuse(download, failure, time.monotonic())
            return
        download.tries += 1
        download.repeated_since = None
        self._scheduler.put_later(download, time.monotonic() + delay_s)

    def _end_failed(self, download: Download, failure: Failure) -> None:
        if self._ledger.close(download):
            self._deliver(Fetched(download.row, None, failure, signals=download.signals))

    def _end_body(
        self,
        download: Download,
        body: bytes | bytearray,
        held: int,
        headers: tuple[str | None, ...] = (),
    ) -> None:
        if self._ledger.close(download):
            self._budget.delivered(held, len(body))
            self._deliver(Fetched(download.row, body, None, len(body), headers, download.signals))
        else:
            self._budget.cancel(held)

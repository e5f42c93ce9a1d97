"""Which row begins next: it has its host's slot, and the site's consent where that is asked for.

Between the ledger, where rows come in, and the loop, which requests them. Keeps the orders in which downloads
wait: to go on, for a time, for their turn in the list (``row_order``), for their host (``hosts.slots``) or
for a site's file (``consent``); none of these takes a transfer or memory for a body. What was struck out of
the ledger meanwhile is passed over when its turn comes. Another thread may take rows back: the ledger's
lock guards the hosts and the order of the rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import wanted_files
from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.consent.shared_files import SharedFiles
from img2dataset.fetching.consent.site_files import SiteFiles
from img2dataset.fetching.hosts.politeness import host_of
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import LOOK_AHEAD_ROWS, MOST_PUSH_BACKS, Ending, ending_of
from img2dataset.fetching.http.response_head import Answer
from img2dataset.fetching.requests.ledger import Download, Ledger, Stage
from img2dataset.fetching.requests.outcomes import led_to_file, parse_retry_after
from img2dataset.fetching.requests.row_order import Resumed, RowOrder
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import UrlRefused, to_uri
from img2dataset.types import Row

# Rows looked at before the transfers get their turn: some milliseconds.
ROWS_AT_ONCE = 512
# And no longer than this, where rules of sites are looked up for each: some cost a millisecond.
LONGEST_LOOK_S = 0.02
# New rows put in order each time that one begins: half a millisecond, until as many are as are looked ahead.
ROWS_ORDERED_AT_ONCE = 64
# The row number of what nobody submitted.
NOBODY = Row(-1, 0, "")


class Scheduler:
    """Owned by the loop, on its thread; ``take_back`` may be called from any.

    Args:
        settings: see ``FetchSettings``.
        ledger: where rows come from.
        usual_reservation: bytes a new request reserves.
        refuse: called with a download that is not to be requested, and its failure.
        clock: the present, seconds.
        unix_clock: the same as Unix time.
    """

    def __init__(
        self,
        settings: FetchSettings,
        ledger: Ledger,
        usual_reservation: Callable[[], int],
        refuse: Callable[[Download, Failure], None],
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._manners = settings
        self._more_schemes = settings.more_schemes
        self._records_consent = settings.save_consent
        self._unix_clock = unix_clock
        self._ledger = ledger
        self._lock = ledger.lock
        self._usual_reservation = usual_reservation
        self._refuse = refuse
        self._hosts: HostSlots[Download] = HostSlots(
            settings,
            settings.most_concurrency,
            1 + settings.retries,
            is_open=lambda download: download.is_open,
            deadline_s=settings.deadline,
            unix_clock=unix_clock,
        )
        self._order = RowOrder(self._hosts.early_use)
        self._resumed = Resumed()
        files = wanted_files(settings)
        self._site_files: SiteFiles[Download] | None = None
        if files:
            self._site_files = SiteFiles(files, SharedFiles.of_run(), unix_clock)
        self._next: Download | None = None
        self._unfinished = False

    def next(self, now: float) -> Download | None:
        """The download to begin, which holds its host's slot; None if none may begin now.

        It stays the next one until ``take``.
        """
        if self._next is not None and not self._next.is_open:
            self.release(self._next)
            self._next = None
        if self._next is not None and now >= self._next.turn_ends:
            self.put_off(self._next)
            self._next = None
        if self._next is None:
            with self._lock:
                self._next = self._find(now)
        return self._next

    def take(self) -> None:
        """What ``next`` named begins."""
        assert self._next is not None
        self._ledger.move(self._next, Stage.UNDER_WAY)
        self._next = None

    def put_ready(self, download: Download) -> None:
        """``download`` goes on as soon as there is room."""
        self._ledger.move(download, Stage.WAITING)
        self._resumed.put(download)

    def put_later(self, download: Download, due: float) -> None:
        """``download`` begins its next try at the time ``due``."""
        self.start_again(download)
        download.reservation = self._usual_reservation()
        self._ledger.move(download, Stage.FOR_SOMETHING_ELSE)
        self._resumed.put_at(download, due)

    def start_again(self, download: Download) -> None:
        """Let the present try of ``download`` begin anew, with the URL of its row."""
        download.start_again()
        self.aim(download, download.site_file or to_uri(download.row.url, self._more_schemes))

    def aim(self, download: Download, uri: str) -> None:
        """Let ``download`` go to ``uri``; it must ``enter`` again."""
        download.uri, download.host = uri, host_of(uri) if uri.startswith("http") else ""
        download.judged = None

    def enter(self, download: Download, now: float) -> bool:
        """Take the slot of the host of ``download``. If False, it waits here, or was refused."""
        if not download.host:
            return True
        closed = self._hosts.closed(download.host, now)
        if closed is not None:
            self.refuse(download, closed, now)
            return False
        files = None if download.site_file else self._site_files
        if files is not None and not self._has_consent(download, files, now):
            return False
        with self._lock:
            if self._hosts.enter(download.host, now):
                download.turn_ends = self._hosts.turn_ends(download.host, now)
                return True
            self._set_aside(download, now)
        return False

    def put_off(self, download: Download) -> None:
        """Its turn is over before the request has ended, or begun: it waits here for the next one."""
        download.time_left_s = None
        with self._lock:
            now = self._clock()
            self._leave(download, now)
            if download.is_open:
                self._set_aside(download, now, first=True)

    def leave(
        self, download: Download, started_at: float, failure: Failure | None, answer: Answer | None
    ) -> bool:
        """A request has ended. True if its host pushed it back and it waits here to be sent again."""
        if not download.host:
            return False
        asked = answer.retry_after if answer is not None else None
        status = answer.status if answer is not None and answer.status else None
        ending, host, now = ending_of(failure, status, asked is not None), download.host, self._clock()
        with self._lock:
            if ending is Ending.PUSHED_BACK:
                wait_s = parse_retry_after(asked, time.time()) if asked else None
                self._hosts.pushed_back(host, now, started_at, wait_s, failure or failures.of_status(429))
                self._leave(download, now, ending)
                return self._is_sent_again(download, now)
            if ending is Ending.OVERLOADED:
                self._hosts.overloaded(host, now, started_at)
            elif download.proxied and ending in (Ending.NO_CONNECTION, Ending.CONNECT_TIMEOUT, Ending.SILENT):
                ending = Ending.NOTHING
            if ending is Ending.NOTHING:
                self._hosts.heard_from(host, now)
            self._leave(download, now, ending, started_at)
            if self._hosts.closed(host, now) is not None:
                # Its rows do not wait for their turn to fail.
                for waiting in self._order.take_all_of(host):
                    self._set_aside(waiting, now)
        return False

    def release(self, download: Download) -> None:
        """A request was aborted, or is to begin again: it says nothing of its host."""
        if download.host:
            with self._lock:
                self._leave(download, self._clock())

    def heard_from(self, download: Download, now: float) -> None:
        """The first bytes of an answer have come."""
        if download.host:
            with self._lock:
                self._hosts.heard_from(download.host, now)

    def learned(self, download: Download, body: bytes | None, failure: Failure | None) -> None:
        """A site's file has come, or not: those who waited for it go on."""
        assert self._site_files is not None
        self._ledger.close(download)
        now = self._clock()
        is_led_here = download.led_here.after_public and not self._site_files.is_named(download.site_file)
        if failure is not None and failure.kind.failure_class == "address" and is_led_here:
            # It is asked for again where the list itself leads there: that may be where redirects may not.
            for each in self._site_files.withdraw(download.site_file):
                if each.redirects.after_public:
                    self._refuse(each, failure)
                elif each.is_open:
                    self.put_ready(each)
            return
        self._site_files.learned(download.site_file, body, failure, now)
        self.look_at_site_files(now)

    def look_at_site_files(self, now: float) -> None:
        """Let those go on whose site's file has come, here or in another process. To be called each turn."""
        if self._site_files is None:
            return
        for file_uri, waiting, delay_s in self._site_files.arrived(now):
            if delay_s:
                with self._lock:
                    self._hosts.space(host_of(file_uri), delay_s)
            for each in waiting:
                if each.is_open:
                    self.put_ready(each)
        for file_uri in self._site_files.to_ask():
            first = self._site_files.first_waiting(file_uri)
            question = Download(NOBODY, site_file=file_uri)
            question.reservation = min(LARGEST_BYTES, self._usual_reservation())
            is_named = self._site_files.is_named(file_uri)
            question.led_here = question.redirects = led_to_file(first, file_uri, is_named)
            self.aim(self._ledger.open(question), file_uri)
            self.put_ready(question)

    def refuse(self, download: Download, failure: Failure, now: float) -> None:
        """``download`` is not requested any more."""
        if download.site_file:
            self.learned(download, None, failure)
        else:
            self._refuse(download, failure)

    def next_due(self, now: float) -> float | None:
        """When ``next`` may have something new though nothing else happens; at once if it was not through."""
        if self._unfinished:
            return now
        dues = [self._resumed.next_due(now), self._hosts.next_due(now)]
        if self._site_files is not None:
            dues.append(self._site_files.next_due(now))
        return min((due for due in dues if due is not None), default=None)

    def take_back(self, count: int, even_on_trial: bool) -> list[Row]:
        """Give up to ``count`` rows back that nothing was requested for, last those that wait for their host.

        Those of a host on trial only if ``even_on_trial``: elsewhere it would be tried once more.
        """
        now = self._clock()

        def wanted(download: Download) -> bool:
            return download.is_untouched and (
                even_on_trial or not self._hosts.is_on_trial(download.host, now)
            )

        with self._lock:
            rows = self._ledger.give_back(count)
            taken = self._order.take_back(count - len(rows), wanted)
            taken += self._hosts.take_back(count - len(rows) - len(taken), wanted)
            return rows + [download.row for download in taken if self._ledger.close(download)]

    def close(self) -> None:
        """Give back what other processes may wait for."""
        self._hosts.close()
        if self._site_files is not None:
            self._site_files.close()

    def _find(self, now: float) -> Download | None:
        self._unfinished = False
        self._look_ahead(now)
        began = self._clock()
        for _ in range(ROWS_AT_ONCE):
            if self._site_files is not None and self._clock() - began > LONGEST_LOOK_S:
                break
            download = self._resumed.take(now)
            if download is not None:
                self._ledger.move(download, Stage.WAITING)
            elif (found := self._hosts.next_job(now)) is not None:
                download, failure = found
                if failure is None:
                    download.turn_ends = self._hosts.turn_ends(download.host, now)
                    self._ledger.move(download, Stage.WAITING)
                    return download
                self.refuse(download, failure, now)
                continue
            else:
                new = self._order.take(now)
                if new is None and not self._look_ahead(now):
                    return None
                if new is None:
                    continue
                download = new
            if self.enter(download, now):
                return download
        self._unfinished = True
        return None

    def _look_ahead(self, now: float) -> bool:
        """Put some more new rows in order; False if there are none."""
        for count in range(ROWS_ORDERED_AT_ONCE):
            download = self._ledger.next_new() if len(self._order) < LOOK_AHEAD_ROWS else None
            if download is None:
                return count > 0
            try:
                self.aim(download, to_uri(download.row.url, self._more_schemes))
            except UrlRefused as refusal:
                self._refuse(download, refusal.failure)
                continue
            download.reservation = self._usual_reservation()
            self._order.add(download, now)
        return True

    def _leave(
        self, download: Download, now: float, ending: Ending = Ending.NOTHING, started_at: float = math.inf
    ) -> None:
        self._hosts.leave(download.host, now, ending, started_at, download.received)
        download.received = 0

    def _set_aside(self, download: Download, now: float, first: bool = False) -> None:
        self._ledger.move(download, Stage.FOR_ITS_HOST)
        self._hosts.set_aside(download.host, download, now, first=first)

    def _is_sent_again(self, download: Download, now: float) -> bool:
        """Whether ``download``, which was pushed back, waits for its host; it does from here on."""
        download.push_backs += 1
        if (
            not download.is_open
            or not self._manners.max_retry_after
            or download.push_backs > MOST_PUSH_BACKS
            or self._hosts.closed(download.host, now) is not None
        ):
            return False
        if not download.site_file:
            download.reservation = self._usual_reservation()
        # The second time others go before it, to tell a limited host from one URL that is always refused.
        self._set_aside(download, now, first=download.push_backs == 1)
        return True

    def _has_consent(self, download: Download, files: SiteFiles[Download], now: float) -> bool:
        refusal, ask_first, download.judged = files.judge(download.uri, now, download.judged)
        if self._records_consent:
            download.hear(files.signals(download.uri, self._unix_clock()))
        if refusal is not None:
            self._refuse(download, refusal)
        elif ask_first:
            self._ledger.move(download, Stage.FOR_SOMETHING_ELSE)
            files.wait(ask_first, download, now)
            self.look_at_site_files(now)
        return refusal is None and not ask_first

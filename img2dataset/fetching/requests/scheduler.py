"""Which row begins next: it has its host's slot, and the site's consent where that is asked for.

Between ``waiting_rows``, where rows come in, and the loop, which requests them. Holds the rows that wait
for a host (``slots``) or for a robots.txt (``robots_txt``); they take no transfer and no memory for a body.
Another thread may take back rows that wait for their host: one lock guards the hosts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import wanted_files
from img2dataset.fetching.consent.site_files import LARGEST_BYTES, SiteFiles
from img2dataset.fetching.hosts.politeness import host_of
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import Ending, ending_of
from img2dataset.fetching.http.response_head import Answer
from img2dataset.fetching.requests.retry import parse_retry_after
from img2dataset.fetching.requests.row_order import LOOK_AHEAD_ROWS, RowOrder
from img2dataset.fetching.requests.waiting_rows import Job, PendingRows
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import UrlRefused, to_uri
from img2dataset.types import Row

# Rows looked at before the transfers get their turn: some milliseconds.
ROWS_AT_ONCE = 512
# New rows put in order each time that one begins: half a millisecond, until as many are as are looked ahead.
ROWS_ORDERED_AT_ONCE = 64
# How often one row is sent round again by its host's pace. In the burst before the pace is known this happens
# once or twice; more means that it is this URL, not the pace.
MOST_PUSH_BACKS = 8
# The row number of what nobody submitted.
NOBODY = Row(-1, 0, "")


class Admission:
    """Owned by the loop, on its thread; ``take_back`` and ``set_aside`` may be called from any.

    Args:
        settings: see ``FetchSettings``.
        pending: where rows come from.
        most_transfers: bounds what no manner does.
        usual_reservation: bytes a new row reserves.
        refuse: called with a row that is not to be requested, and its failure.
    """

    def __init__(
        self,
        settings: FetchSettings,
        pending: PendingRows,
        most_transfers: int,
        usual_reservation: Callable[[], int],
        refuse: Callable[[Row, Failure], None],
    ) -> None:
        self._manners = settings.manners
        self._more_schemes = settings.more_schemes
        self._pending = pending
        self._usual_reservation = usual_reservation
        self._refuse = refuse
        self._hosts: HostSlots[Job] = HostSlots(settings.manners, most_transfers, 1 + settings.retries)
        self._order = RowOrder(self._hosts.state)
        # Guards the hosts and what waits for them. Taken before that of the pending rows, never after it.
        self._lock = threading.RLock()
        files = wanted_files(settings)
        self._site_files: SiteFiles[Job] | None = SiteFiles(files) if files else None
        self._next: Job | None = None
        self._unfinished = False

    def next(self, now: float) -> Job | None:
        """The job to begin, which holds its host's slot, left in its place; None if none may begin now."""
        if self._next is None:
            with self._lock:
                self._next = self._find(now)
        return self._next

    def take(self) -> Job:
        """Take what ``next`` named."""
        job = self._next
        assert job is not None
        self._next = None
        return job

    def enter(self, job: Job, now: float) -> bool:
        """Take the slot of ``job``'s host. If False, the job waits here, or was refused."""
        if not job.host:
            return True
        closed = self._hosts.closed(job.host, now)
        if closed is not None:
            self.refuse(job, closed, now)
            return False
        if (
            self._site_files is not None
            and not job.site_file
            and not self._has_consent(job, self._site_files, now)
        ):
            return False
        with self._lock:
            if self._hosts.enter(job.host, now):
                return True
            self._hosts.set_aside(job.host, job, now)
        return False

    def aim(self, job: Job, uri: str) -> None:
        """Let ``job`` go to ``uri``; it must ``enter`` again."""
        job.uri, job.host = uri, host_of(uri) if uri.startswith("http") else ""

    def leave(self, job: Job, started_at: float, failure: Failure | None, answer: Answer | None) -> bool:
        """A request has ended. True if its host pushed it back and it waits here to be sent again."""
        if not job.host:
            return False
        with self._lock:
            return self._leave(job, started_at, failure, answer, time.monotonic())

    def _leave(
        self, job: Job, started_at: float, failure: Failure | None, answer: Answer | None, now: float
    ) -> bool:
        asked = answer.retry_after if answer is not None else None
        status = answer.status if answer is not None and answer.status else None
        ending = ending_of(failure, status, asked is not None)
        if ending is Ending.OVERLOADED:
            self._hosts.overloaded(job.host, now, started_at)
        elif job.proxied and ending in (Ending.NO_CONNECTION, Ending.CONNECT_TIMEOUT, Ending.SILENT):
            ending = Ending.NOTHING
        if ending is Ending.NOTHING:
            self._hosts.heard_from(job.host, now)
        if ending is not Ending.PUSHED_BACK:
            self._hosts.leave(job.host, now, ending, started_at)
            self._fail_early(job.host, now)
            return False
        wait = parse_retry_after(asked, time.time()) if asked else None
        self._hosts.pushed_back(job.host, now, started_at, wait, failure or failures.of_status(429))
        self._hosts.leave(job.host, now, ending)
        job.push_backs += 1
        if (
            job.called_off
            or not self._manners.max_retry_after_s
            or job.push_backs > MOST_PUSH_BACKS
            or self._hosts.closed(job.host, now) is not None
        ):
            return False
        job.reservation = self._usual_reservation() if not job.site_file else job.reservation
        # The second time others go before it, to tell a limited host from one URL that is always refused.
        self._hosts.set_aside(job.host, job, now, first=job.push_backs == 1)
        return True

    def _fail_early(self, host: str, now: float) -> None:
        """Do not let the rows of a host that has been closed wait for their turn."""
        if self._hosts.closed(host, now) is not None:
            for job in self._order.take_all_of(host):
                self._hosts.set_aside(host, job, now)

    def heard_from(self, job: Job, now: float) -> None:
        """The first bytes of an answer have come."""
        if job.host:
            with self._lock:
                self._hosts.heard_from(job.host, now)

    def called_off(self, job: Job) -> None:
        """A request was aborted, or is to begin again."""
        if job.host:
            with self._lock:
                self._hosts.leave(job.host, time.monotonic(), Ending.NOTHING)

    def learned(self, site_file: str, body: bytes | None, failure: Failure | None) -> None:
        """A site's file has come, or not: those who waited for it go on."""
        assert self._site_files is not None
        now = time.monotonic()
        waiting, delay = self._site_files.learned(site_file, body, failure, now)
        if delay:
            with self._lock:
                self._hosts.space(host_of(site_file), delay)
        for job in waiting:
            if not job.called_off:
                self._pending.put_off(job)

    def refuse(self, job: Job, failure: Failure, now: float) -> None:
        """``job`` is not requested."""
        if job.site_file:
            self.learned(job.site_file, None, failure)
        elif not job.called_off:
            self._refuse(job.row, failure)

    def next_due(self, now: float) -> float | None:
        """When ``next`` may have something new though nothing else happens; at once if it was not through."""
        if self._unfinished:
            return now
        dues = [due for due in (self._pending.next_due(now), self._hosts.next_due(now)) if due is not None]
        return min(dues, default=None)

    def forget(self, shard_ids: set[int]) -> None:
        """Drop the rows of shards that were given up."""
        if self._next is not None and self._next.row.shard_id in shard_ids:
            self.called_off(self.take())
        with self._lock:
            self._order.forget(shard_ids)
            self._hosts.drop(lambda job: job.row.shard_id in shard_ids)
        if self._site_files is not None:
            for job in self._site_files.waiting():
                job.called_off = job.called_off or job.row.shard_id in shard_ids

    @property
    def waiting(self) -> int:
        """New rows that were put in order here and may begin."""
        return len(self._order)

    @property
    def set_aside(self) -> int:
        """Rows that wait for their host, those that have been requested before among them."""
        return len(self._hosts)

    def take_back(self, count: int, even_on_trial: bool) -> list[Row]:
        """Give up to ``count`` unrequested rows back, last those that wait for their host.

        Those of a host on trial only if ``even_on_trial``: elsewhere it would be tried once more.
        """
        now = time.monotonic()

        def wanted(job: Job) -> bool:
            return job.is_untouched and (even_on_trial or not self._hosts.is_on_trial(job.host, now))

        with self._lock:
            rows = self._order.take_back(count, wanted)
            return rows + [job.row for job in self._hosts.take_back(count - len(rows), wanted)]

    def close(self) -> None:
        """Give back what other processes may wait for."""
        self._hosts.close()

    def _find(self, now: float) -> Job | None:
        self._unfinished = False
        self._look_ahead(now)
        for _ in range(ROWS_AT_ONCE):
            if self._pending.next_job(now) is not None:
                job = self._pending.take_job()
            elif (found := self._hosts.next_job(now)) is not None:
                job, failure = found
                if failure is None:
                    return job
                self.refuse(job, failure, now)
                continue
            else:
                new = self._order.take(now)
                if new is None and not self._look_ahead(now):
                    return None
                if new is None:
                    continue
                job = new
            if self.enter(job, now):
                return job
        self._unfinished = True
        return None

    def _look_ahead(self, now: float) -> bool:
        """Put some more new rows in order; False if there are none."""
        for count in range(ROWS_ORDERED_AT_ONCE):
            row = self._pending.take_row() if len(self._order) < LOOK_AHEAD_ROWS else None
            if row is None:
                return count > 0
            job = self._new_job(row)
            if job is not None:
                self._order.add(job, now)
        return True

    def _new_job(self, row: Row) -> Job | None:
        try:
            uri = to_uri(row.url, self._more_schemes)
        except UrlRefused as refusal:
            self._refuse(row, refusal.failure)
            return None
        job = Job(row, uri, self._usual_reservation())
        self.aim(job, uri)
        return job

    def _has_consent(self, job: Job, site_files: SiteFiles[Job], now: float) -> bool:
        refusal, ask_first = site_files.judge(job.uri, now)
        if refusal is not None:
            self._refuse(job.row, refusal)
        elif ask_first and site_files.wait(ask_first, job):
            question = Job(NOBODY, "", min(LARGEST_BYTES, self._usual_reservation()), site_file=ask_first)
            self.aim(question, ask_first)
            self._pending.put_off(question)
        return refusal is None and not ask_first

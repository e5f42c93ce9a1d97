"""Another try of a row: whether and when (``retry`` decides), and from its beginning. Called by the loop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from img2dataset.failures import Failure
from img2dataset.fetching.requests.retry import delay_before_retry, parse_retry_after
from img2dataset.fetching.requests.waiting_rows import Job, PendingRows
from img2dataset.fetching.settings import FetchSettings
from img2dataset.fetching.urls import to_uri


class Tries:
    """Lets jobs begin again.

    Args:
        settings: see ``FetchSettings``.
        pending: where jobs wait for their next try.
        aim: lets a job go to a URI.
        usual_reservation: bytes a new try reserves.
    """

    def __init__(
        self,
        settings: FetchSettings,
        pending: PendingRows,
        aim: Callable[[Job, str], None],
        usual_reservation: Callable[[], int],
    ) -> None:
        self._retries = settings.retries
        self._more_schemes = settings.more_schemes
        self._pending = pending
        self._aim = aim
        self._usual_reservation = usual_reservation

    def again(self, job: Job, failure: Failure, retry_after: str | None) -> bool:
        """Let ``job`` wait for another try, if ``failure`` can pass and it has one left."""
        if job.tries > self._retries:
            return False
        asked = parse_retry_after(retry_after, time.time()) if retry_after else None
        delay = delay_before_retry(failure, job.tries, self._retries, asked, random.random)
        if delay is None:
            return False
        job.tries += 1
        job.held_since = None
        self.put_back(job, time.monotonic() + delay)
        return True

    def put_back(self, job: Job, due: float) -> None:
        """Let ``job`` begin again at the time ``due``: its latest try does not count."""
        job.reservation = self._usual_reservation()
        self.restart(job)
        self._pending.put_later(job, due)

    def restart(self, job: Job) -> None:
        """Let ``job`` begin again with the URL of its row."""
        job.resent = 0
        job.redirects, job.foreign, job.time_left, job.after_public = 0, False, None, False
        job.cookies = ()
        self._aim(job, job.site_file or to_uri(job.row.url, self._more_schemes))

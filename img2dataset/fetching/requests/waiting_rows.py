"""The rows that wait: new ones, tries put off until there is room, and tries that are due later.

Rows come in from any thread; the fetcher's thread takes jobs out, tries first, so that none waits for
ever behind a list that has no end.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from img2dataset.failures import Failure
from img2dataset.fetching.http.cookies import Cookie
from img2dataset.types import Row


@dataclass(slots=True)
class Job:
    """A row on its way: what to request next, with how many bytes reserved, and what has been tried.

    ``called_off``: its shard was given up, nobody wants its outcome. ``host``: as ``manners.host_of`` names
    it, empty for what no host is asked for. ``push_backs``: how often a host has answered that it is asked
    too often. ``foreign``: a redirect has led to another host. ``time_left``: seconds to its deadline, if it
    has begun before. ``site_file``: the file of a site that it fetches, for no row: its URI.
    ``after_public``: a redirect from a public address has led here. ``taken``: it has begun, or was dropped
    before. ``as_sent``: its body is taken as it comes, since its headers contradicted it in this way.
    ``cookies``: what the redirects so far have set. ``proxied``: its request goes through a proxy.
    ``held_since``: when a try of it was first put back because of this machine or its network.
    ``resent``: how often it was sent again at once, because the server had not taken it.
    """

    row: Row
    uri: str
    reservation: int
    tries: int = 1
    redirects: int = 0
    called_off: bool = False
    host: str = ""
    push_backs: int = 0
    foreign: bool = False
    time_left: float | None = None
    site_file: str = ""
    after_public: bool = False
    taken: bool = False
    as_sent: Failure | None = None
    cookies: tuple[Cookie, ...] = ()
    proxied: bool = False
    held_since: float | None = None
    resent: int = 0

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been requested for its row yet, so that another process may as well do it."""
        begun = self.redirects or self.push_backs or self.resent
        return not (self.site_file or self.called_off or begun) and self.tries == 1


class PendingRows:
    """``lock`` guards the new rows and the shards to forget; the rest belongs to the fetcher's thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._new: deque[Row] = deque()
        self._forgotten: set[int] = set()
        self._ready: deque[Job] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._order = 0

    def __len__(self) -> int:
        """Rows whose transfer has not begun, those that wait for a later try not counted."""
        return len(self._new) + len(self._ready)

    def submit(self, rows: Iterable[Row]) -> None:
        """Take new rows. Any thread, which must hold ``lock``."""
        self._new.extend(rows)

    def forget(self, shard_id: int) -> None:
        """Drop a shard's new rows, and have its other ones dropped. Any thread, which must hold ``lock``."""
        self._new = deque(row for row in self._new if row.shard_id != shard_id)
        self._forgotten.add(shard_id)

    def take_forgotten(self) -> set[int]:
        """The shards to forget since the last call; their jobs that wait here are dropped."""
        if not self._forgotten:
            return set()
        with self.lock:
            forgotten, self._forgotten = self._forgotten, set()
        self._ready = deque(job for job in self._ready if job.row.shard_id not in forgotten)
        self._later = [entry for entry in self._later if entry[2].row.shard_id not in forgotten]
        heapq.heapify(self._later)
        return forgotten

    def next_job(self, now: float) -> Job | None:
        """The job that goes before all new rows, left in its place; None if there is none at this time."""
        self._make_ready(now)
        return self._ready[0] if self._ready else None

    def take_job(self) -> Job:
        """Take what ``next_job`` named."""
        return self._ready.popleft()

    def take_row(self) -> Row | None:
        """The next new row; None if there is none, or if a shard must be forgotten before any is begun."""
        with self.lock:
            return None if self._forgotten or not self._new else self._new.popleft()

    def take_back(self, count: int) -> list[Row]:
        """Give up to ``count`` new rows back, the last ones. Any thread, which must hold ``lock``."""
        return [self._new.pop() for _ in range(min(count, len(self._new)))]

    def put_off(self, job: Job) -> None:
        """``job`` goes on as soon as there is room."""
        self._ready.append(job)

    def put_later(self, job: Job, due: float) -> None:
        """``job`` goes on at the time ``due``."""
        self._order += 1
        heapq.heappush(self._later, (due, self._order, job))

    def next_due(self, now: float) -> float | None:
        """When the earliest later try is due; those that are due already wait for room, not for time."""
        self._make_ready(now)
        return self._later[0][0] if self._later else None

    def clear(self) -> None:
        """Drop every row that is left, at the end. The caller must hold ``lock``."""
        self._new.clear()
        self._ready.clear()
        self._later.clear()

    def _make_ready(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

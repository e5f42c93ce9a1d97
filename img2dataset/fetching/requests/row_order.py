"""The order in which rows begin: that of the list, and between them those of hosts not heard from yet.

A host that never answers holds a row for the whole timeout. Asked as late as the list names it, it holds the
end of the run as well; so every second row is one of a host that has not answered yet, among the rows
looked at. Half of the rows keep the order of the list, so that its shards are finished one after another.

What has begun before and goes on (``Resumed``) goes before all new rows (``RowOrder``).

Comes in: downloads. Goes out: the next to begin. Owned by ``scheduler``, under the ledger's lock.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable

from img2dataset.fetching.hosts.host import EarlyUse
from img2dataset.fetching.hosts.states import TRIAL_REQUESTS
from img2dataset.fetching.requests.ledger import Download


class RowOrder:
    """Downloads that have not begun.

    Args:
        early_use: as ``HostSlots.early_use``.
    """

    def __init__(self, early_use: Callable[[str, float], EarlyUse]) -> None:
        self._early_use = early_use
        # Each once, in order; and some more than once, to begin earlier: as the first of their host, or in
        # a trial.
        self._in_order: OrderedDict[Download, None] = OrderedDict()
        self._first: deque[Download] = deque()
        self._further: deque[Download] = deque()
        self._count_of: dict[str, int] = {}
        self._takes_early = False

    def __len__(self) -> int:
        return len(self._in_order)

    def add(self, download: Download, now: float) -> None:
        """Put ``download`` last."""
        self._in_order[download] = None
        host = download.host
        if not host:
            return
        count = self._count_of[host] = self._count_of.get(host, 0) + 1
        if count > TRIAL_REQUESTS:
            return
        use = self._early_use(host, now)
        if use == "first" and count == 1:
            self._first.append(download)
        elif use != "none":
            self._further.append(download)

    def take(self, now: float) -> Download | None:
        """The next to begin; None if there is none."""
        self._takes_early = not self._takes_early
        download = self._early(now) if self._takes_early else None
        while download is None and self._in_order:
            following = next(iter(self._in_order))
            if following.is_open:
                download = following
            else:
                self._remove(following)
        if download is not None:
            self._remove(download)
        return download

    def take_back(self, count: int, wanted: Callable[[Download], bool]) -> list[Download]:
        """Give up to ``count`` downloads back that are ``wanted``, the last ones."""
        taken: list[Download] = []
        for download in reversed(list(self._in_order)):
            if len(taken) >= count:
                break
            if wanted(download):
                self._remove(download)
                taken.append(download)
        return taken

    def take_all_of(self, host: str) -> list[Download]:
        """Take every download of a host."""
        if host not in self._count_of:
            return []
        taken = [download for download in self._in_order if download.host == host]
        for download in taken:
            self._remove(download)
        return [download for download in taken if download.is_open]

    def _early(self, now: float) -> Download | None:
        """One to begin before its turn, for the sake of its host."""
        while self._further:
            download = self._further[0]
            waits = self._is_here(download)
            use = self._early_use(download.host, now)
            if waits and use in ("first", "soon"):
                break  # its host may still answer; so may those of the downloads behind it
            self._further.popleft()
            if waits and use == "trial":
                return download
        while self._first:
            download = self._first.popleft()
            if self._is_here(download) and self._early_use(download.host, now) == "first":
                return download
        return None

    def _is_here(self, download: Download) -> bool:
        return download in self._in_order and download.is_open

    def _remove(self, download: Download) -> None:
        del self._in_order[download]
        host = download.host
        if host:
            left = self._count_of[host] - 1
            if left:
                self._count_of[host] = left
            else:
                del self._count_of[host]


class Resumed:
    """Downloads that go on as soon as there is room, or from some time on.

    They go before all new rows, so that none waits for ever behind a list that has no end.
    """

    def __init__(self) -> None:
        self._ready: deque[Download] = deque()
        self._later: list[tuple[float, int, Download]] = []
        self._count = 0

    def put(self, download: Download) -> None:
        """``download`` goes on as soon as there is room."""
        self._ready.append(download)

    def put_at(self, download: Download, due: float) -> None:
        """``download`` goes on at the time ``due``."""
        self._count += 1
        heapq.heappush(self._later, (due, self._count, download))

    def take(self, now: float) -> Download | None:
        """The next; None if there is none at this time."""
        self._make_ready(now)
        while self._ready:
            download = self._ready.popleft()
            if download.is_open:
                return download
        return None

    def next_due(self, now: float) -> float | None:
        """When the earliest later one is due; those that are due already wait for room, not for time."""
        self._make_ready(now)
        return self._later[0][0] if self._later else None

    def _make_ready(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

"""Which rows have not been answered yet: the one place that knows it. All else keeps orders and handles.

A row is entered when it is submitted, and struck out once: when it is delivered, given back, or forgotten
with its shard. What waits in a queue or is under way elsewhere may have been struck out meanwhile; whoever
takes it from there asks ``is_open``. An error of the downloader empties the ledger: no row inside is
delivered, and the fetcher raises the error.

Used by ``fetcher`` from any thread, and by the scheduler and the loop on theirs.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from img2dataset.failures import Failure
from img2dataset.fetching.consent.site_files import Judged
from img2dataset.fetching.http.cookies import Cookie
from img2dataset.types import SAYS, ConsentSignal, Row

# Of one row: an answer has room for thousands of header lines.
MOST_SIGNALS = 64


class Stage(IntEnum):
    """Where a download is. Its number is its index in the list of counts."""

    WAITING = 0
    """It begins, or goes on, as soon as there is room."""
    FOR_ITS_HOST = 1
    """Its host takes no more requests at present."""
    FOR_SOMETHING_ELSE = 2
    """It waits for the time of its next try, for a site's file, or for what is wrong with its name."""
    UNDER_WAY = 3
    """Its host is being looked up, it is transferred, or read from a file or store."""
    CLOSED = 4
    """Struck out: nobody wants its outcome any more."""


@dataclass(frozen=True, slots=True)
class Redirects:
    """What the redirects of one try have led to.

    Attributes:
        hops: how many there were.
        foreign: one has led to another host, or from https to http.
        after_public: one came from a public address.
        cookies: what they have set.
    """

    hops: int = 0
    foreign: bool = False
    after_public: bool = False
    cookies: tuple[Cookie, ...] = ()


NO_REDIRECTS = Redirects()


@dataclass(slots=True, eq=False)
class Download:
    """A row on its way, and what has been tried.

    Attributes:
        row: what was submitted.
        uri: what to request next.
        host: of ``uri``, as ``politeness.host_of`` names it; empty for what no host is asked for.
        reservation: bytes of memory that its next request takes.
        site_file: the URI of the file of a site that it fetches, for no row; see ``consent.site_files``.
        led_here: what led to its first URI, for a site's file: each try begins with it.
        judged: the files of its site that have allowed its URI; see ``site_files.Consent``.
        stage: where it is. Changed by the ledger alone, as ``is_open``.
        is_open: whether its outcome is still wanted.
        tries: the present one included.
        redirects: of the present try.
        time_left_s: to its deadline, if the present try has begun before.
        turn_ends: when its request has to have ended, begun or not; see ``HostSlots.turn_ends``.
        received: bytes that its present request has brought, if it has ended and its host was not told of it.
        push_backs: how often a host has answered that it is asked too often.
        resent: how often it was sent again at once, because the server had not taken it.
        as_sent: its body is taken as it comes, since its headers contradicted it in this way.
        proxied: its request goes through a proxy.
        signals: what was said of it, of the present try; where the settings keep that.
        repeated_since: when a try of it was first repeated because of this machine or its network.
    """

    row: Row
    uri: str = ""
    host: str = ""
    reservation: int = 0
    site_file: str = ""
    led_here: Redirects = NO_REDIRECTS
    judged: Judged | None = None
    stage: Stage = Stage.WAITING
    is_open: bool = True
    tries: int = 1
    redirects: Redirects = NO_REDIRECTS
    time_left_s: float | None = None
    turn_ends: float = math.inf
    received: int = 0
    push_backs: int = 0
    resent: int = 0
    as_sent: Failure | None = None
    proxied: bool = False
    signals: tuple[ConsentSignal, ...] = ()
    repeated_since: float | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been requested for its row yet, so that another process may as well do it."""
        begun = self.redirects.hops or self.push_backs or self.resent
        return not (self.site_file or begun) and self.tries == 1 and self.is_open

    def start_again(self) -> None:
        """Let its present try begin anew."""
        self.resent = 0
        self.redirects, self.time_left_s = self.led_here, None
        self.signals = ()

    def hear(self, signals: Iterable[ConsentSignal]) -> None:
        """Keep what was said of it, each thing once: a request may be made again, a file judged again.

        Of more than ``MOST_SIGNALS`` the most restrictive stay.
        """
        heard = {(each.signal, each.where, each.value): each for each in self.signals}
        for each in signals:
            heard.setdefault((each.signal, each.where, each.value), each)
        kept = list(heard.values())
        if len(kept) > MOST_SIGNALS:
            kept = sorted(kept, key=lambda each: SAYS.index(each.says))[:MOST_SIGNALS]
        self.signals = tuple(kept)


class Ledger:
    """``lock`` guards it, and what other threads may change with it: the hosts and the order of new rows."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        # As they were submitted: thousands may wait long before they begin.
        self._new: deque[Row] = deque()
        self._open: dict[int, set[Download]] = {}
        self._counts = [0] * len(Stage)
        self._has_forgotten = False

    @property
    def waiting(self) -> int:
        """Rows that could begin, or go on, if there were room. Any thread."""
        return len(self._new) + self._counts[Stage.WAITING]

    def count(self, stage: Stage) -> int:
        """Downloads at ``stage``; of those that are closed, how many there have been. Any thread."""
        return self._counts[stage]

    def submit(self, rows: Iterable[Row]) -> None:
        """Enter rows. Any thread."""
        with self.lock:
            self._new.extend(rows)

    def next_new(self) -> Download | None:
        """The download of the next row that nothing has been done for; None if there is none."""
        if not self._new:
            return None
        with self.lock:
            return self._enter(Download(self._new.popleft())) if self._new else None

    def open(self, download: Download) -> Download:
        """Enter a download that was not made here."""
        with self.lock:
            return self._enter(download)

    def move(self, download: Download, stage: Stage) -> None:
        """``download`` is at another stage now, if it is still open."""
        if download.stage is stage:
            return
        with self.lock:
            if download.is_open:
                self._set(download, stage)

    def close(self, download: Download) -> bool:
        """Strike ``download`` out; False if it was before: then nobody may be told of its outcome."""
        with self.lock:
            if not download.is_open:
                return False
            shard = self._open[download.row.shard_id]
            shard.discard(download)
            if not shard:
                del self._open[download.row.shard_id]
            download.is_open = False
            self._set(download, Stage.CLOSED)
            return True

    def give_back(self, count: int) -> list[Row]:
        """Strike up to ``count`` rows out that nothing has been done for, the last ones. Any thread."""
        with self.lock:
            return [self._new.pop() for _ in range(min(count, len(self._new)))]

    def forget(self, shard_id: int) -> None:
        """Strike out what was submitted of a shard so far. Any thread."""
        with self.lock:
            self._new = deque(row for row in self._new if row.shard_id != shard_id)
            for download in self._open.pop(shard_id, ()):
                download.is_open = False
                self._set(download, Stage.CLOSED)
                self._has_forgotten = True

    def take_forgotten(self) -> bool:
        """Whether a shard was forgotten since the last call, so that transfers for nobody may be running."""
        if not self._has_forgotten:
            return False
        with self.lock:
            self._has_forgotten = False
        return True

    def empty(self) -> None:
        """Strike everything out: the downloader has ended."""
        with self.lock:
            self._new.clear()
            for shard_id in list(self._open):
                self.forget(shard_id)

    def _enter(self, download: Download) -> Download:
        self._counts[download.stage] += 1
        self._open.setdefault(download.row.shard_id, set()).add(download)
        return download

    def _set(self, download: Download, stage: Stage) -> None:
        self._counts[download.stage] -= 1
        self._counts[stage] += 1
        download.stage = stage

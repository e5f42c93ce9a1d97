"""The fetcher: rows in from any thread, each out once, with its body or its failure.

Called by the worker. The work itself is ``requests.loop``, on the one thread that lives and ends here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from img2dataset.errors import Img2datasetError
from img2dataset.fetching.http.access import find_ca_bundle
from img2dataset.fetching.http.transport import Transport
from img2dataset.fetching.machine import most_transfers
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.ledger import Ledger, Stage
from img2dataset.fetching.requests.loop import DownloadLoop
from img2dataset.fetching.settings import FetchSettings
from img2dataset.types import Fetched, Row

# A thread inside the system's resolver cannot be ended; it is left behind.
LONGEST_CLOSE_S = 5.0
# A turn of the loop waits for some seconds at most; after this long its thread hangs.
LONGEST_TURN_S = 120.0
LONGEST_BETWEEN_LOOKS_S = 5.0


class Fetcher:
    """Downloads rows on a thread of its own.

    Args:
        settings: see ``FetchSettings``.
        deliver: called on the fetcher's thread, exactly once for each submitted row (unless it was
            forgotten, or the fetcher closed, before); must not block. Typically ``queue.SimpleQueue().put``.

    Every delivered body counts against ``body_memory`` and ``ready_limit`` until
    ``release(fetched.size)`` is called for it, in any order and from any thread; whoever holds bodies
    back for ever stops the downloads.

    An error of the downloader is no row's failure: if its thread ever ends by one, no row inside is
    delivered, and ``check`` and ``submit`` raise from then on. Whoever waits for rows calls ``check``.

    Raises:
        OptionError: the file of trusted certificates cannot be used.
    """

    def __init__(self, settings: FetchSettings, deliver: Callable[[Fetched], None]) -> None:
        ca_bundle = find_ca_bundle(settings.ca_bundle) if not settings.ignore_ssl_certificate else None
        self._deliver = deliver
        self._budget = BodyBudget(settings.body_memory, settings.ready_limit, settings.max_download_bytes)
        self._ledger = Ledger()
        self._transport = Transport(min(settings.most_concurrency, most_transfers()))
        self._loop = DownloadLoop(
            settings, ca_bundle, self._ledger, self._budget, self._transport, deliver, self._wake
        )
        self._watch = ProgressWatch()
        self._closing = False
        # Set under the ledger's lock: after it no row is taken and no wake-up sent.
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="img2dataset-fetcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows submitted that could begin if there were room.

        Those that wait for their host, or for a site's robots.txt, are not counted: more rows would let the
        transfers work on other hosts meanwhile.
        """
        return self._ledger.waiting

    @property
    def not_begun(self) -> int:
        """What ``take_back`` may give: ``waiting``, and the rows that wait for their host."""
        return self.waiting + self._ledger.count(Stage.FOR_ITS_HOST)

    @property
    def in_flight(self) -> int:
        """Transfers running now."""
        return self._loop.in_flight

    @property
    def looked_up(self) -> int:
        """Those of them whose host is being looked up."""
        return self._loop.looked_up

    @property
    def concurrency(self) -> int:
        """Transfers that may be in flight now."""
        return self._loop.limit

    @property
    def held_bytes(self) -> int:
        """Memory of bodies: reserved by transfers, or delivered and not released."""
        return self._budget.used

    def submit(self, rows: Iterable[Row]) -> None:
        """Take rows to download; never blocks. Thread safe.

        Raises:
            Img2datasetError: the fetcher is closed, or its thread has ended by an error.
        """
        rows = list(rows)
        with self._ledger.lock:
            if self._error is not None:
                raise _died_of(self._error) from self._error
            if self._ended or self._closing:
                raise Img2datasetError("the downloader is closed; make a new one")
            self._ledger.submit(rows)
            self._transport.wake()

    def check(self) -> None:
        """See that rows can still be expected. To be called, by one thread, about twice a second.

        Raises:
            Img2datasetError: the fetcher's thread has ended by an error, or stands still.
        """
        if self._closing:
            return
        if self._error is not None or not self._thread.is_alive():
            raise _died_of(self._error) from self._error
        if self._watch.silence_s(self._loop.turns, time.monotonic()) > LONGEST_TURN_S:
            raise Img2datasetError(f"the downloader has stood still for {LONGEST_TURN_S:.0f} s")

    def forget(self, shard_id: int) -> None:
        """Call off the rows of a shard submitted so far; one that is just ending may still be delivered.

        Rows of the same shard submitted afterwards are new ones. Thread safe.
        """
        with self._ledger.lock:
            if not self._ended:
                self._ledger.forget(shard_id)
                self._transport.wake()

    def take_back(self, count: int, *, even_on_trial: bool = False) -> list[Row]:
        """Give up to ``count`` rows back that have not begun; they are not delivered. Thread safe.

        Those that wait for their host are given last: for a list of one host they are nearly all. Those of a
        host that has been silent so far are kept, unless ``even_on_trial``: a few requests that are under
        way decide on all of them.
        """
        return self._loop.take_back(count, even_on_trial)

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

    def _wake(self) -> None:
        with self._ledger.lock:
            if not self._ended:
                self._transport.wake()

    def _work(self) -> None:
        try:
            while not self._closing:
                self._loop.turn()
        except BaseException as error:
            self._error = error
            logging.getLogger(__name__).exception("the downloader has ended by an error")
        finally:
            self._end()

    def _end(self) -> None:
        with self._ledger.lock:
            self._ended = True
            self._ledger.empty()
        self._loop.close()


class ProgressWatch:
    """For how long a counter has stood still while it was looked at; pure.

    Time between two looks counts only as far as it is usual: in a longer one the whole program stood still.
    """

    def __init__(self) -> None:
        self._count = -1
        self._looked_at = 0.0
        self._silence_s = 0.0

    def silence_s(self, count: int, now: float) -> float:
        """Seconds for which ``count`` has not changed, looked at ``now`` on the monotonic clock."""
        passed = min(now - self._looked_at, LONGEST_BETWEEN_LOOKS_S)
        self._silence_s = self._silence_s + passed if count == self._count else 0.0
        self._count, self._looked_at = count, now
        return self._silence_s


def _died_of(error: BaseException | None) -> Img2datasetError:
    return Img2datasetError(f"the downloader has ended by an error: {error!r}")

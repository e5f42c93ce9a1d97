"""The transfers under way: from a download that may begin to what libcurl says at its end. Owned by the loop.

A transfer is taken from the pool, its host is found, libcurl carries it; so each is either being looked up or
running. What follows from its end is the loop's to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pycurl

from img2dataset.fetching.http.destinations import Destination, Destinations
from img2dataset.fetching.http.transfer import Transfer
from img2dataset.fetching.http.transport import Transport
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.ledger import Download
from img2dataset.fetching.requests.time_limits import ClockWatch
from img2dataset.fetching.requests.transfer_pool import TransferPool
from img2dataset.fetching.settings import FetchSettings


class InFlight:
    """Transfers and the downloads they are for.

    Args:
        settings: see ``FetchSettings``.
        ca_bundle: the file of trusted certificates, None to trust all.
        budget: the memory of bodies.
        transport: libcurl's event loop.
        heard_from: called with a download when the first bytes of its answer have been seen.
        refused: called with a transfer whose host may not be, or could not be found, and its download.
    """

    def __init__(
        self,
        settings: FetchSettings,
        ca_bundle: str | None,
        budget: BodyBudget,
        transport: Transport,
        heard_from: Callable[[Download, float], None],
        refused: Callable[[Transfer, Download, Destination], None],
    ) -> None:
        self._deadline_s = settings.deadline_s
        self._budget = budget
        self._transport = transport
        self._refused = refused
        self._pool = TransferPool(settings, ca_bundle, budget.grow)
        self.destinations: Destinations[tuple[Transfer, Download]] = Destinations(settings, transport.watch)
        self.watch = ClockWatch(settings, heard_from)
        # What libcurl carries. Transfers in use beside these have their host looked up.
        self._running: dict[pycurl.Curl, tuple[Transfer, Download]] = {}

    def __len__(self) -> int:
        """Transfers running, and those whose host is being looked up."""
        return self._pool.in_use

    @property
    def are_looked_up(self) -> bool:
        """Whether any waits for its host to be found."""
        return self._pool.in_use > len(self._running)

    @property
    def are_running(self) -> bool:
        """Whether libcurl carries any."""
        return bool(self._running)

    def begin(self, download: Download, now: float) -> None:
        """Request ``download``, whose reservation has been taken."""
        transfer = self._pool.take(download)
        left_s = download.time_left_s
        transfer.clocks.deadline = now + (self._deadline_s if left_s is None else left_s)
        download.time_left_s = None
        self._request(transfer, download, download.reservation, now)

    def fits(self, transfer: Transfer, download: Download) -> bool:
        """Whether ``transfer`` may carry on with ``download``, which has been redirected."""
        return self._pool.fits(transfer, download)

    def go_on(self, transfer: Transfer, download: Download, now: float) -> None:
        """Request what ``download`` was redirected to, with what it holds."""
        download.time_left_s = None
        self._request(transfer, download, transfer.response.reserved, now)

    def connect(self, transfer: Transfer, download: Download, destination: Destination, now: float) -> None:
        """Go to the host of ``download``, which has been found; or not."""
        if destination.failure is not None:
            self._refused(transfer, download, destination)
            return
        waited_s = now - transfer.started_at
        transfer.aim(destination.entries, download.redirects.after_public, waited_s, now)
        self._running[transfer.easy] = (transfer, download)
        self._transport.add(transfer.easy)

    def take(self, easy: pycurl.Curl) -> tuple[Transfer, Download]:
        """What libcurl's handle carried; it has ended, or is ended here."""
        return self._running.pop(easy)

    def may_send_again(self, transfer: Transfer, download: Download, code: int) -> bool:
        """Whether ``download`` is to be sent again at once: the server had not taken it."""
        return self._pool.may_send_again(transfer, download, code)

    def abort_closed(self) -> Iterator[Download]:
        """End the transfers that nobody wants the outcome of any more; gives their downloads."""
        for easy, (transfer, download) in list(self._running.items()):
            if not download.is_open:
                del self._running[easy]
                self._transport.remove(easy)
                self.set_free(transfer)
                yield download

    def overdue(self, now: float) -> Iterator[pycurl.Curl]:
        """What the clocks end now; see ``ClockWatch.look``."""
        return self.watch.look(self._running, now)

    def set_free(self, transfer: Transfer) -> None:
        """``transfer`` has brought no body, or its body is not wanted."""
        self._budget.cancel(transfer.response.reserved)
        transfer.begin_again(0.0)
        self.hand_over(transfer)

    def hand_over(self, transfer: Transfer) -> int:
        """``transfer`` has ended, and its body was taken; gives the memory that is held for that."""
        held, transfer.response.reserved = transfer.response.reserved, 0
        self._pool.put_back(transfer)
        return held

    def close(self) -> None:
        """Abort every transfer."""
        self.destinations.close()
        for easy in self._running:
            with contextlib.suppress(pycurl.error):
                self._transport.remove(easy)
        self._running.clear()
        self._pool.close()

    def _request(self, transfer: Transfer, download: Download, reserved: int, now: float) -> None:
        """Find the host of ``download`` and go there."""
        self._pool.begin(transfer, download, reserved, now)
        after_public = download.redirects.after_public
        destination = self.destinations.find(
            download.uri, after_public, (transfer, download), now, download.proxied
        )
        if destination is not None:
            self.connect(transfer, download, destination, now)

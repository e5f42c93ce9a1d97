"""The transfers: those under way, and the idle ones that are used again. Owned by the loop, on its thread.

``InFlight`` takes a transfer from the pool, has its host found and libcurl carry it; so each one in use is
either being looked up or running. What follows from its end is the loop's to do. ``TransferPool`` keeps
each kind apart: for rows; for files of sites, which are read under limits of their own; and for rows that
were redirected to another host when there is a client certificate, which libcurl cannot take back from a
handle.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pycurl

from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.consent import wanted_headers
from img2dataset.fetching.consent.answers import LARGEST_BYTES
from img2dataset.fetching.hosts.states import LONGEST_TURN_DEADLINE_S
from img2dataset.fetching.http.access import RequestAccess
from img2dataset.fetching.http.curl import RECEIVE_BUFFER_BYTES
from img2dataset.fetching.http.destinations import Destination, Destinations, Proxies
from img2dataset.fetching.http.response_head import AnswerPolicy
from img2dataset.fetching.http.transfer import Transfer
from img2dataset.fetching.http.transport import Transport
from img2dataset.fetching.requests.body_memory import BodyBudget
from img2dataset.fetching.requests.ledger import Download
from img2dataset.fetching.requests.time_limits import ClockWatch
from img2dataset.fetching.settings import FetchSettings

# A new connection takes its first request; more than one is for servers that end that too.
MOST_RESENT = 3
ENDINGS_OF_HTTP2 = 8
MOST_COUNTED_HOSTS = 1000


class TransferPool:
    """Hands out transfers for downloads, prepared with what goes with the request.

    Args:
        settings: see ``FetchSettings``.
        ca_bundle: the file of trusted certificates, None to trust all.
        grow: as ``BodyBudget.grow``.
    """

    def __init__(
        self, settings: FetchSettings, ca_bundle: str | None, grow: Callable[[int, int], bool]
    ) -> None:
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._grow = grow
        self._access = RequestAccess(settings.access)
        self._may_not_keep_all = settings.processes > 1 or settings.members > 1 or any(settings.policies)
        # Hosts with policies that have been asked over http.
        self._asked_by_http: set[str] = set()
        self._has_certificate = settings.access.client_certificate is not None
        self._policy = AnswerPolicy(settings.max_download_bytes, wanted_headers(settings))
        # One received block more than is read: what is cut off is then always longer than that.
        self._site_file_settings = replace(
            settings, max_download_bytes=LARGEST_BYTES + RECEIVE_BUFFER_BYTES + 1
        )
        self._proxies = Proxies(settings.access)
        self._reach = Reach(settings.private_addresses == "allow")
        # The proxy itself may be at any kind of address that a list may name.
        self._proxied_reach = Reach(private_allowed=True, proxied=True)
        # How often each host has not taken a request. One that goes on doing so is asked over HTTP/1.1.
        self._not_taken: Counter[str] = Counter()
        self._all: list[Transfer] = []
        # Transfers that have been taken and not put back.
        self.in_use = 0
        self._idle: list[Transfer] = []
        self._idle_for_site_files: list[Transfer] = []
        self._idle_anonymous: list[Transfer] = []

    def take(self, download: Download) -> Transfer:
        """An idle transfer for ``download``, or a new one."""
        self.in_use += 1
        idle_list = self._idle_list_for(download)
        return idle_list.pop() if idle_list else self._new(idle_list)

    def fits(self, transfer: Transfer, download: Download) -> bool:
        """Whether ``transfer`` may carry on with ``download``, which has been redirected."""
        return transfer.idle_list is self._idle_list_for(download)

    def begin(self, transfer: Transfer, download: Download, reserved: int, now: float) -> None:
        """Aim ``transfer`` at the address of ``download``, with ``reserved`` bytes of memory."""
        transfer.begin(download.uri, reserved, now)
        transfer.choose_connection(
            download.resent > 0, self._not_taken.get(download.host, 0) >= ENDINGS_OF_HTTP2
        )
        transfer.take_as_sent(download.as_sent)
        proxy = self._proxies.of(download.uri)
        download.proxied = bool(proxy)
        transfer.go_through(proxy, self._proxied_reach if proxy else self._reach)
        transfer.had_own = self._access.prepare(
            transfer.easy,
            download.uri,
            download.redirects.foreign,
            download.redirects.cookies,
            download.row.headers,
            transfer.had_own,
        )
        if self._may_not_keep_all:
            transfer.keep_connection(self._keeps_connection(download))

    def may_send_again(self, transfer: Transfer, download: Download, code: int) -> bool:
        """Whether ``download`` is to be sent again at once: the server had not taken it."""
        if download.resent >= MOST_RESENT or not transfer.was_not_taken(code):
            return False
        download.resent += 1
        if download.uri.startswith("https:") and len(self._not_taken) < MOST_COUNTED_HOSTS:
            self._not_taken[download.host] += 1
        return True

    def put_back(self, transfer: Transfer) -> None:
        """``transfer`` has ended."""
        self.in_use -= 1
        transfer.idle_list.append(transfer)

    def close(self) -> None:
        """Close every handle. They must have been taken out of the event loop."""
        for transfer in self._all:
            transfer.easy.close()

    def _keeps_connection(self, download: Download) -> bool:
        """Whether the connection of ``download`` may wait for the next request of its host."""
        host = download.host
        if self._settings.takes_turns(host):
            # An idle one would keep another process's from being the host's last one.
            return False
        if ":" in host or not self._settings.policies.of(host).connections:
            return True
        # http and https of a name are one host: an idle connection of one would be beside that of the other.
        if download.uri.startswith("http:"):
            self._asked_by_http.add(host)
        return host not in self._asked_by_http

    def _idle_list_for(self, download: Download) -> list[Transfer]:
        if download.site_file:
            return self._idle_for_site_files
        return self._idle_anonymous if self._has_certificate and download.redirects.foreign else self._idle

    def _new(self, idle_list: list[Transfer]) -> Transfer:
        if idle_list is self._idle_for_site_files:
            policy = AnswerPolicy(sys.maxsize)
            transfer = Transfer(
                self._site_file_settings,
                self._ca_bundle,
                policy,
                self._grow,
                reach=self._reach,
                truncates=True,
            )
        else:
            transfer = Transfer(
                self._settings,
                self._ca_bundle,
                self._policy,
                self._grow,
                reach=self._reach,
                with_certificate=idle_list is self._idle,
            )
        transfer.idle_list = idle_list
        self._all.append(transfer)
        return transfer


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
        self._deadline_s = settings.deadline
        self._deadline_in_turn_s = min(settings.deadline, LONGEST_TURN_DEADLINE_S)
        self._budget = budget
        self._transport = transport
        self._refused = refused
        self.pool = TransferPool(settings, ca_bundle, budget.grow)
        self.destinations: Destinations[tuple[Transfer, Download]] = Destinations(settings, transport.watch)
        self.watch = ClockWatch(settings, heard_from)
        # What libcurl carries. Transfers in use beside these have their host looked up.
        self.running: dict[pycurl.Curl, tuple[Transfer, Download]] = {}
        # No turn of a host ends earlier for any of these.
        self.next_turn_end = math.inf

    @property
    def are_looked_up(self) -> bool:
        """Whether any waits for its host to be found."""
        return self.pool.in_use > len(self.running)

    def begin(self, download: Download, now: float) -> None:
        """Request ``download``, whose reservation has been taken."""
        transfer = self.pool.take(download)
        left_s = download.time_left_s
        longest_s = self._deadline_s if download.turn_ends == math.inf else self._deadline_in_turn_s
        transfer.clocks.deadline = now + (longest_s if left_s is None else left_s)
        download.time_left_s = None
        self._request(transfer, download, download.reservation, now)

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
        self.running[transfer.easy] = (transfer, download)
        self.next_turn_end = min(self.next_turn_end, download.turn_ends)
        self._transport.add(transfer.easy)

    def abort_closed(self) -> Iterator[Download]:
        """End the transfers that nobody wants the outcome of any more; gives their downloads."""
        for easy, (transfer, download) in list(self.running.items()):
            if not download.is_open:
                self._stop(easy)
                self.set_free(transfer)
                yield download

    def stop_at_turn_end(self, now: float) -> Iterator[Download]:
        """End the transfers whose host is another member's to ask from now on; gives their downloads."""
        if now < self.next_turn_end:
            return
        self.next_turn_end = math.inf
        for easy, (transfer, download) in list(self.running.items()):
            if now < download.turn_ends:
                self.next_turn_end = min(self.next_turn_end, download.turn_ends)
                continue
            self._stop(easy)
            self.set_free(transfer)
            yield download

    def overdue(self, now: float) -> Iterator[pycurl.Curl]:
        """What the clocks end now; see ``ClockWatch.look``."""
        return self.watch.look(self.running, now)

    def set_free(self, transfer: Transfer) -> None:
        """``transfer`` has brought no body, or its body is not wanted."""
        self._budget.cancel(transfer.response.reserved)
        transfer.begin_again(0.0)
        self.hand_over(transfer)

    def hand_over(self, transfer: Transfer) -> int:
        """``transfer`` has ended, and its body was taken; gives the memory that is held for that."""
        held, transfer.response.reserved = transfer.response.reserved, 0
        self.pool.put_back(transfer)
        return held

    def close(self) -> None:
        """Abort every transfer."""
        self.destinations.close()
        for easy in self.running:
            with contextlib.suppress(pycurl.error):
                self._transport.remove(easy)
        self.running.clear()
        self.pool.close()

    def _stop(self, easy: pycurl.Curl) -> None:
        transfer, download = self.running.pop(easy)
        download.received = transfer.received_bytes()
        self._transport.remove(easy)

    def _request(self, transfer: Transfer, download: Download, reserved: int, now: float) -> None:
        """Find the host of ``download`` and go there."""
        self.pool.begin(transfer, download, reserved, now)
        after_public = download.redirects.after_public
        destination = self.destinations.find(
            download.uri, after_public, (transfer, download), now, download.proxied
        )
        if destination is not None:
            self.connect(transfer, download, destination, now)

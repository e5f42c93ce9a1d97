"""Looks at the clocks of the transfers in flight, a few times a second. Owned by the loop, on its thread.

Tells which transfers have to end now, and how many are silent. A silent one costs a socket and has no body,
and most of them will never answer: they take neither the number nor the memory of those that do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pycurl

from img2dataset.fetching.http.transfer import LONGEST_DISCARD_S, Transfer
from img2dataset.fetching.machine import most_transfers
from img2dataset.fetching.requests.body_memory import SMALLEST_RESERVATION
from img2dataset.fetching.requests.ledger import Download
from img2dataset.fetching.settings import FetchSettings

# How often the clocks are looked at, at most; a cut may come that much late.
CLOCK_INTERVAL_S = 0.25
# A loop this much behind its time was suspended, not the servers: their clocks get the time back.
SUSPENDED_S = 1.0
# Most servers have begun to answer by then; at the usual timeout a silent transfer has four fifths to go.
SILENT_AFTER_S = 2.0


class ClockWatch:
    """Watches transfers.

    Args:
        settings: see ``FetchSettings``.
        heard_from: called with a download when the first bytes of its answer have been seen.
    """

    def __init__(self, settings: FetchSettings, heard_from: Callable[[Download, float], None]) -> None:
        self._timeout_s = settings.timeout
        self._heard_from = heard_from
        self._interval = min(CLOCK_INTERVAL_S, settings.timeout / 8, settings.deadline / 8)
        self.next_look = 0.0
        # Transfers that had said nothing for a while at the last look.
        self.silent = 0
        self._most_in_flight = most_transfers()

    def rest(self, now: float) -> None:
        """Nothing is in flight: nothing needs a look before something new has begun."""
        self.next_look = now + self._interval
        self.silent = 0

    def beyond(self, limit: int) -> int:
        """How many transfers more than ``limit`` may be in flight: the silent ones, at most as many again."""
        return max(0, min(self.silent, limit, self._most_in_flight - limit))

    def look(
        self, running: dict[pycurl.Curl, tuple[Transfer, Download]], now: float
    ) -> Iterator[pycurl.Curl]:
        """The transfers that are to be ended now, with their failure in them, if it is time to look."""
        late = now - self.next_look
        if late < 0:
            return
        self.next_look = now + self._interval
        if late > SUSPENDED_S:
            for transfer, _ in running.values():
                transfer.clocks.shift(late)
                transfer.started_at = min(now, transfer.started_at + late)
        silent = 0
        for easy, (transfer, download) in list(running.items()):
            if self._has_to_end(transfer, download, now):
                yield easy
            elif not transfer.response.count and now - transfer.started_at >= SILENT_AFTER_S:
                silent += 1
                transfer.response.hold_less(SMALLEST_RESERVATION)
        self.silent = silent

    def _has_to_end(self, transfer: Transfer, download: Download, now: float) -> bool:
        count = transfer.response.count
        if count and not transfer.heard:
            transfer.heard = True
            self._heard_from(download, now)
        failure = transfer.clocks.check(now, count, None if count else self._sent_at(transfer, now))
        answer = transfer.response.answer
        if answer is not None and not answer.wants_body:
            # The headers have said all; what follows only keeps the connection, and may not hold the row.
            transfer.discard_until = transfer.discard_until or now + LONGEST_DISCARD_S
            return failure is not None or now >= transfer.discard_until
        transfer.failure = transfer.failure or failure
        return failure is not None

    def _sent_at(self, transfer: Transfer, now: float) -> float | None:
        # Asked of libcurl only when the answer can matter.
        return transfer.sent_at() if now - transfer.started_at >= self._timeout_s else None

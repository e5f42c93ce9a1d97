"""One host as a process sees it: what is running, what waits, and its state. Pure; used by ``slots``.

A host that accepts connections and never answers would cost each of its rows a whole timeout, one after the
other as their turn comes, to the end of the list. So a host from which nothing has come for a second is on
trial: a few requests find out, each with its whole timeout, and its other rows wait for what they find.

| from | when | to |
| --- | --- | --- |
| new | its first request is begun | asked |
| asked | nothing has come for ``TRIAL_AFTER_S`` | on trial |
| asked, on trial | anything has come, ever | known |
| on trial | ``TRIAL_REQUESTS`` are out, or rows wait already | known: one more would find out nothing |
| on trial | as many silences as its bound: it is closed for ``CLOSED_S`` (``pace``) | known |

New, asked and on trial decide which rows begin early (``requests.row_order``); how many requests a known host
gets at a time, and how fast, is its ``pace``.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Generic, TypeVar

from img2dataset import failures
from img2dataset.failures import Failure, OfHost
from img2dataset.fetching.hosts.pace import CLOSED_S, HostPace

Waiting = TypeVar("Waiting")
TRIAL_AFTER_S = 1.0
# Requests at a time while it is on trial, and, of each of their tries, the silences that close it.
TRIAL_REQUESTS = 5
# Stands for the queue of a host that has none: an empty deque of its own is 760 bytes, and most hosts never
# need one. Never appended to.
NOBODY: deque[Any] = deque(maxlen=0)


class HostState(Enum):
    """What is known of a host; the table above says how it changes."""

    NEW = "nothing"
    ASKED = "it was asked just now"
    ON_TRIAL = "nothing has come yet, and one more request may find out"
    KNOWN = "enough"


class Host(Generic[Waiting]):
    """What is running and waiting, and what is known.

    Args:
        name: as ``politeness.host_of`` names it.
        pace: what it takes.
        machine_bound: connections that all processes of the machine take in turn; 0: this one has a share
            of its own.
        tries: of one row. A row that is tried again may find a host that answers then, so each of them has
            to fail before the host is given up.
    """

    __slots__ = (
        "asked_at",
        "heard",
        "listed",
        "machine_bound",
        "most_silences",
        "name",
        "pace",
        "running",
        "silences",
        "waiting",
    )

    def __init__(self, name: str, pace: HostPace, machine_bound: int, tries: int) -> None:
        self.name = name
        self.machine_bound = machine_bound
        self.pace = pace
        self.running = 0
        self.waiting: deque[Waiting] = NOBODY
        # Among those that ``slots`` will look at; at most once, so that its lists do not grow with the rows.
        self.listed = False
        # When it was first asked, whether anything has ever come from it, and how often nothing has.
        self.asked_at: float | None = None
        self.heard = False
        self.silences = 0
        self.most_silences = TRIAL_REQUESTS * tries

    def state(self, now: float) -> HostState:
        """What is known of it."""
        if self.asked_at is None and not self.waiting:
            return HostState.NEW
        if self.heard or self.pace.is_closed(now) or self.silences >= self.most_silences:
            return HostState.KNOWN
        if not self.is_on_trial(now):
            return HostState.ASKED
        return HostState.ON_TRIAL if not self.waiting and self.trial_allows(now) else HostState.KNOWN

    def is_on_trial(self, now: float) -> bool:
        """Whether it was asked a while ago and nothing has come from it."""
        return not self.heard and self.asked_at is not None and now - self.asked_at > TRIAL_AFTER_S

    def trial_allows(self, now: float) -> bool:
        """Whether one more request may go out, as far as the trial is concerned."""
        if not self.is_on_trial(now):
            return True
        if self.silences >= self.most_silences:
            return self.running < 1  # it was closed: one request finds out whether it is back
        # No more than it takes: one that begins late would make the others wait for it.
        return self.running < min(TRIAL_REQUESTS, self.most_silences - self.silences)

    def hear(self) -> None:
        """Something has come from it."""
        self.heard, self.silences = True, 0

    def was_silent(self, now: float, ending: Ending) -> None:
        """A request got nothing in the whole timeout. A host that only does that is closed for a while."""
        if self.heard:
            return
        self.silences += 1
        if self.silences >= self.most_silences and not self.pace.is_closed(now):
            silence = ending is Ending.SILENT
            self.pace.close(now + CLOSED_S, failures.TIMEOUT_SILENCE if silence else failures.TIMEOUT_CONNECT)


class Ending(Enum):
    """What the end of a request says about its host."""

    ACCEPTED = "it answered"
    PUSHED_BACK = "429, or 503 with Retry-After"
    OVERLOADED = "503 without Retry-After"
    NO_CONNECTION = "it could not be connected to"
    CONNECT_TIMEOUT = "connecting to it took the whole timeout"
    SILENT = "it was connected to, and fell silent for the whole timeout"
    NOTHING = "called off, begun again, or failed in a way that says nothing of the host"


_OF_HOST = {
    OfHost.NOTHING: Ending.NOTHING,
    OfHost.NO_CONNECTION: Ending.NO_CONNECTION,
    OfHost.CONNECT_TIMEOUT: Ending.CONNECT_TIMEOUT,
    OfHost.SILENT: Ending.SILENT,
}


def ending_of(failure: Failure | None, status: int | None, has_retry_after: bool) -> Ending:
    """What a request that ended with ``failure`` (None: success) and ``status`` says about its host."""
    if status == 429 or (status == 503 and has_retry_after):
        return Ending.PUSHED_BACK
    if status == 503:
        return Ending.OVERLOADED
    if status is not None:
        return Ending.ACCEPTED
    return Ending.NOTHING if failure is None else _OF_HOST[failure.kind.host]

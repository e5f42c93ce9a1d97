"""One host as a process sees it: what is running, what waits, and its state. Pure; used by ``slots``.

``states`` has the states and the figures.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Generic, Literal, TypeVar

from img2dataset import failures
from img2dataset.fetching.hosts.pace import HostPace
from img2dataset.fetching.hosts.states import (
    CLOSED_S,
    TRIAL_AFTER_S,
    TRIAL_REQUESTS,
    Ending,
    HostState,
)
from img2dataset.fetching.hosts.turns import MemberShare

Waiting = TypeVar("Waiting")
# What a row of a host that has its turn late in the list is good for earlier: a first request, another one
# of a trial, perhaps one of a trial in a second (``soon``), or nothing.
EarlyUse = Literal["first", "trial", "soon", "none"]
# Stands for the queue of a host that has none: an empty deque of its own is 760 bytes, and most hosts never
# need one. Never appended to.
NO_QUEUE: deque[Any] = deque(maxlen=0)
# Two clocks may not agree to the last digit on whether a turn has begun.
SHORTEST_WAIT_S = 0.001


class Host(Generic[Waiting]):
    """What is running and waiting, and what has come.

    Args:
        name: as ``politeness.host_of`` names it.
        pace: what it takes.
        bound: connections that the processes of this member take in turn; 0: each has its own.
        share: this member's part, and when it has its turn; None: the run has one member.
        tries: of one row. A row that is tried again may find a host that answers then, so each of them has
            to fail before the host is given up.
    """

    __slots__ = (
        "asked_at",
        "bound",
        "heard",
        "held_until",
        "listed",
        "looks_at",
        "most_silences",
        "name",
        "pace",
        "running",
        "share",
        "silences",
        "turn_at",
        "turn_began",
        "waiting",
    )

    def __init__(self, name: str, pace: HostPace, bound: int, tries: int, share: MemberShare | None) -> None:
        self.name = name
        self.bound = bound
        self.share = share
        # When this member has its next turn, and when its present one began.
        self.turn_at = self.turn_began = -math.inf
        # When this process next looks whether one of the connections that are taken in turn is free.
        self.looks_at = -math.inf
        # Until when it may keep the one that it has.
        self.held_until = -math.inf
        self.pace = pace
        self.running = 0
        self.waiting: deque[Waiting] = NO_QUEUE
        # Among those that ``slots`` will look at; at most once, so that its lists do not grow with the rows.
        self.listed = False
        # When it was first asked, whether anything has ever come from it, and how often nothing has.
        self.asked_at: float | None = None
        self.heard = False
        self.silences = 0
        self.most_silences = TRIAL_REQUESTS * tries

    def state(self, now: float) -> HostState:
        """What has been found out about it by now."""
        if self.pace.is_closed(now):
            return HostState.CLOSED
        if self.asked_at is None:
            return HostState.NEW
        if self.silences >= self.most_silences or self.pace.is_probed:
            return HostState.LEFT_ALONE if self.pace.is_left_alone(now) else HostState.PROBED
        if self.heard:
            return HostState.PACED if self.pace.is_slowed_down else HostState.ANSWERING
        return HostState.ON_TRIAL if self.is_on_trial(now) else HostState.ASKED

    def early_use(self, now: float) -> EarlyUse:
        """What one of its rows is good for before its turn."""
        state = self.state(now)
        if now < self.turn_at:
            return "none"
        if state is HostState.NEW:
            return "soon" if self.waiting else "first"
        if state is HostState.ASKED:
            return "soon"
        on_trial = state is HostState.ON_TRIAL and not self.waiting and self.trial_allows(now)
        return "trial" if on_trial else "none"

    def has_turn(self, now: float, unix_s: float) -> bool:
        """Whether this member may begin a request now; if not, ``turn_at`` says when."""
        share = self.share
        if share is None:
            return True
        opens_in_s = share.opens_in(unix_s)
        if opens_in_s > 0:
            self.turn_at = now + max(opens_in_s, SHORTEST_WAIT_S)
            return False
        self.turn_began = now - share.passed_s(unix_s)
        return True

    def due(self) -> float:
        """When only time is in the way of its next request: it begins then."""
        return max(self.pace.due, self.turn_at, self.looks_at)

    def is_on_trial(self, now: float) -> bool:
        """Whether it was asked a while ago and nothing has come from it."""
        return not self.heard and self.asked_at is not None and now - self.asked_at > TRIAL_AFTER_S

    def trial_allows(self, now: float) -> bool:
        """Whether one more request may be sent, as far as the trial is concerned."""
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

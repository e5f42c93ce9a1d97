"""A host's state: its states, what leads from one to the next, and every figure of how hosts are treated.

One page, without code that acts: ``host`` finds out the state of one host, ``pace`` how fast it is asked,
``slots`` which row may be requested. ``docs/host-states.md`` draws this page, and a simulation holds the
code to it.

A host that accepts connections and never answers would cost each of its rows a whole timeout, one after the
other as their turn comes, to the end of the list. So a host from which nothing has come for a second is on
trial: a few requests find out, each with its whole timeout, and its other rows wait for what they find.

A host that pushes back (429, or 503 with Retry-After) is left alone for as long as it says, gets half the
connections, and then requests evenly spaced at nine tenths of the rate it last accepted. Concurrency alone
cannot hold a rate: one connection to a host that answers in a millisecond is a thousand requests a second.
Both are given back slowly, so that the limit is touched about once in some minutes. A host that refuses two
requests in a hundred or fewer, whatever the rate, is left alone for as long as it says, and not slowed
down.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from img2dataset.failures import Failure, OfHost


class HostState(Enum):
    """What has been found out about a host."""

    NEW = "it has not been asked"
    ASKED = "it was asked, and nothing has come yet"
    ON_TRIAL = "nothing has come for a while: a few requests find out, its other rows wait"
    ANSWERING = "it answers: as many requests as its bound of connections allows"
    PACED = "it has pushed back: fewer connections, evenly spaced requests"
    LEFT_ALONE = "it has pushed back just now: nothing is asked for as long as it says"
    PROBED = "one request at a time finds out whether it is back"
    CLOSED = "nothing is asked for a while, and its rows fail"


class Transition(NamedTuple):
    """One arrow of the picture."""

    before: HostState
    after: HostState
    when: str


class Ending(Enum):
    """What the end of a request says about its host."""

    ACCEPTED = "it answered"
    PUSHED_BACK = "429, or 503 with Retry-After"
    OVERLOADED = "503 without Retry-After"
    NO_CONNECTION = "it could not be connected to"
    CONNECT_TIMEOUT = "connecting to it took the whole timeout"
    SILENT = "it was connected to, and fell silent for the whole timeout"
    NOTHING = "called off, begun again, or failed in a way that says nothing of the host"


# Trials of silent hosts.
TRIAL_AFTER_S = 1.0
# Requests at a time while it is on trial, and, of each of their tries, the silences that close it.
TRIAL_REQUESTS = 5

# Hosts that cannot be connected to: so many failures in a row close one.
CONNECT_FAILURES = 10
CLOSED_S = 60.0
LONGEST_CLOSED_S = 86_400.0

# Hosts that push back without saying for how long: 1, 2, 4 … s.
LONGEST_BACKOFF_S = 32.0
# Without having ever accepted anything, so many times in a row close one. If other processes ask it too,
# they may be the ones that it accepts: 8 and 16 s more.
ROUNDS_BEFORE_ANY_ANSWER, SHARED_ROUNDS_BEFORE_ANY_ANSWER = 3, 5
# How often one row is sent round again by its host's pace. In the burst before the pace is learned this
# happens once or twice; more means that it is this URL, not the pace.
MOST_PUSH_BACKS = 8

# A failed row is tried again after what its server asks for, if that is no longer: it would hold its shard
# open.
LONGEST_RETRY_AFTER_S = 120.0

# The pace. The share of the accepted rate that is asked for after a push back, and the steps of giving it
# back.
SHARE = 0.9
STEP, STEP_S = 1.05, 60.0
# Where other processes ask the host too and what they learn cannot be shared, what one of them gives up
# another must find: larger steps, and the limit is touched some times a minute.
SHARED_STEP, SHARED_STEP_S = 1.1, 10.0
# Far below what the host has taken before, or if it has taken nothing, it is given back in larger steps.
LARGE_STEP, LARGE_STEP_S = 1.5, 5.0
SLOWEST_PER_S, FASTEST_PER_S = 0.1, 1000.0
# So many accepted ones to a refused one, and it says nothing about the rate. Without that, a host that
# answers 429 to one request in 500, whatever the rate, would be asked twice a second.
ACCEPTED_TO_A_REFUSED = 50
REMEMBERED_REQUESTS = 1000
# Fewer accepted requests than this say nothing about a rate.
ENOUGH_ACCEPTED = 3
RATE_WINDOW_S = 10.0

# How many connections. At 150 ms an answer this is 200 images a second of one host: more than two cores can
# work on, and what some five browsers open. Lists of many hosts never get there.
USUAL_CONNECTIONS_PER_HOST = 32
# Where processes take few connections in turn: how long one that found none waits before it looks again,
# and one that had one lets the others look first.
LOOK_AGAIN_S = 0.05
# A process that has one of these connections and further rows keeps it for so long before another gets it: it
# is idle at each change, until the other looks.
HELD_S = 2.0

# Of hosts that set bytes a second: for how long what was not used of them may be used later. What several
# processes lose by waking late is made up for, and a host that had nothing to do gets no burst.
UNUSED_S = 0.5

# Where members of a run take turns by the clock: what their clocks may differ by, how late a request may be
# ended, how long before its end a turn begins no more, and the longest deadline that a turn has room for.
CLOCK_DIFFERENCE_S = 2.0
LATENESS_S = 0.5
LEAST_REST_S = 1.0
LONGEST_TURN_DEADLINE_S = 600.0

# Idle hosts whose state is kept, some half a kilobyte each.
REMEMBERED_HOSTS = 10_000
# Rows looked at before their turn, some 400 bytes each, so that new hosts are asked early: what one process
# makes in ten seconds, the usual timeout.
LOOK_AHEAD_ROWS = 4096

_NOTHING_CAME = (
    f"{TRIAL_REQUESTS} requests (for each try of a row) have brought nothing in their whole timeout"
)
_UNREACHABLE = f"{CONNECT_FAILURES} times in a row it could not be connected to"
_TOO_LONG = "it asks to be left alone for longer than max_retry_after"
_PUSHED_BACK = "429, or 503 with Retry-After"
_HALVED = "503 without Retry-After"
_S = HostState
TRANSITIONS = (
    Transition(_S.NEW, _S.ASKED, "its first request is sent"),
    Transition(_S.ASKED, _S.ANSWERING, "anything comes, or it fails in a way that is no silence"),
    Transition(_S.ASKED, _S.ON_TRIAL, f"nothing has come for {TRIAL_AFTER_S:g} s"),
    Transition(_S.ASKED, _S.LEFT_ALONE, _PUSHED_BACK),
    Transition(_S.ASKED, _S.PACED, _HALVED),
    Transition(_S.ASKED, _S.CLOSED, f"{_UNREACHABLE}; or {_TOO_LONG}"),
    Transition(_S.ON_TRIAL, _S.ANSWERING, "anything comes"),
    Transition(_S.ON_TRIAL, _S.LEFT_ALONE, _PUSHED_BACK),
    Transition(_S.ON_TRIAL, _S.PACED, _HALVED),
    Transition(_S.ON_TRIAL, _S.CLOSED, f"{_NOTHING_CAME}; or {_UNREACHABLE}; or {_TOO_LONG}"),
    Transition(_S.ANSWERING, _S.LEFT_ALONE, _PUSHED_BACK),
    Transition(_S.ANSWERING, _S.PACED, _HALVED),
    Transition(_S.ANSWERING, _S.CLOSED, f"{_UNREACHABLE}; or {_TOO_LONG}"),
    Transition(_S.LEFT_ALONE, _S.PROBED, "the time that it asked for is over"),
    Transition(_S.LEFT_ALONE, _S.PACED, "a request that was sent at the same moment is answered"),
    Transition(_S.LEFT_ALONE, _S.CLOSED, f"{_TOO_LONG}, or has pushed back for that long"),
    Transition(_S.PROBED, _S.ANSWERING, "the request is answered, and nothing was slowed down"),
    Transition(_S.PROBED, _S.PACED, "the request is answered"),
    Transition(_S.PROBED, _S.LEFT_ALONE, "it pushes back again"),
    Transition(_S.PROBED, _S.CLOSED, f"it is not back; {_TOO_LONG}, or has pushed back for that long"),
    Transition(_S.PACED, _S.ANSWERING, "all connections and the whole rate are given back"),
    Transition(_S.PACED, _S.LEFT_ALONE, "it pushes back again"),
    Transition(_S.PACED, _S.CLOSED, f"{_UNREACHABLE}; or {_TOO_LONG}"),
    Transition(_S.CLOSED, _S.PROBED, f"{CLOSED_S:.0f} s are over"),
    Transition(_S.CLOSED, _S.ANSWERING, "the time that was longer than max_retry_after is over"),
    Transition(_S.CLOSED, _S.PACED, "the same, where it was slowed down before"),
)

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

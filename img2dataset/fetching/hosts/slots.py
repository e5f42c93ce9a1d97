"""One slot a host: which of the rows that wait may be requested now. Time comes in as an argument, and
nothing is sent; the effects are what processes agree on: a lock where they outnumber connections,
and the pace of a host that has pushed back (both in ``sharing``). Members of a run on several machines agree
by the clock (``turns``).

Comes in: jobs (of any kind) with the host they go to. Goes out: those whose host can take them, fair
between hosts, or the reason why a host is not asked at all. Called by ``scheduler``, on the fetcher's thread.

Each row costs a constant number of steps, however many rows wait for one host; a host is remembered while
it has rows, and some thousand more for what they have shown.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from img2dataset.failures import Failure
from img2dataset.fetching.hosts.host import NO_QUEUE, EarlyUse, Host
from img2dataset.fetching.hosts.pace import HostPace
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.sharing import MachineSlots, SharedPaces
from img2dataset.fetching.hosts.states import HELD_S, LOOK_AGAIN_S, REMEMBERED_HOSTS, Ending, HostState
from img2dataset.fetching.hosts.turns import MemberShare, turn_length

Waiting = TypeVar("Waiting")
Result = TypeVar("Result")


class HostSlots(Generic[Waiting]):
    """The hosts of a run, as one process sees them.

    Args:
        manners: the user's choices.
        concurrency: transfers of this process, which bounds what no manner does.
        tries: of one row, for hosts on trial.
        is_open: whether a job is still wanted; one that waits for its host is dropped when its turn comes.
        deadline_s: that of a download.
        unix_clock: Unix seconds, by which members of a run take turns.
    """

    def __init__(
        self,
        manners: HostManners,
        concurrency: int,
        tries: int = 1,
        is_open: Callable[[Waiting], bool] = lambda job: True,
        deadline_s: float = 60.0,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._tries = tries
        self._is_open = is_open
        self._manners = manners
        self._turn_s = turn_length(deadline_s)
        self._unix_clock = unix_clock
        self._concurrency = concurrency
        self._busy: dict[str, Host[Waiting]] = {}
        self._idle: dict[str, Host[Waiting]] = {}
        self._ready: deque[Host[Waiting]] = deque()
        self._later: list[tuple[float, int, Host[Waiting]]] = []
        self._order = 0
        self._machine = MachineSlots()
        # Hosts of which this process keeps a connection, for a request that is to begin by then.
        self._kept: dict[str, float] = {}
        self._paces = SharedPaces.of_run() if manners.processes > 1 else None

    def closed(self, name: str, now: float) -> Failure | None:
        """The failure of every row of a host that is not to be asked at this time; None if it may be."""
        host = self._busy.get(name) or self._idle.get(name)
        return host.pace.closed_reason if host is not None and host.pace.is_closed(now) else None

    def state(self, name: str, now: float) -> HostState:
        """What has been found out about a host."""
        host = self._busy.get(name) or self._idle.get(name)
        return HostState.NEW if host is None else host.state(now)

    def early_use(self, name: str, now: float) -> EarlyUse:
        """What a row of a host is good for before its turn, for the order in which rows begin."""
        host = self._busy.get(name) or self._idle.get(name)
        return "first" if host is None else host.early_use(now)

    def is_on_trial(self, name: str, now: float) -> bool:
        """Whether the rows of a host wait for what a few requests find out."""
        host = self._busy.get(name)
        return host is not None and host.is_on_trial(now)

    def heard_from(self, name: str, now: float) -> None:
        """Something has come from the host, or it fails in a way that no trial tells of."""
        host = self._busy.get(name)
        if host is not None and not host.heard:
            host.hear()
            self._list(host, now)

    def enter(self, name: str, now: float) -> bool:
        """Take a slot of the host if it has one free now; otherwise the job is to be set aside."""
        host = self._host(name)
        if not host.waiting and self._start(host, now):
            return True
        self._rest(host)
        return False

    def set_aside(self, name: str, job: Waiting, now: float, *, first: bool = False) -> None:
        """Let ``job`` wait for its host; ``first``: before the others."""
        host = self._host(name)
        if host.waiting is NO_QUEUE:
            host.waiting = deque()
        if first:
            host.waiting.appendleft(job)
        else:
            host.waiting.append(job)
        self._list(host, now)

    def next_job(self, now: float) -> tuple[Waiting, Failure | None] | None:
        """A job set aside that has its slot now, or is to fail with the failure beside it; or None."""
        self._make_ready(now)
        while self._ready:
            host = self._ready.popleft()
            host.listed = False
            while host.waiting and not self._is_open(host.waiting[0]):
                host.waiting.popleft()
            if not host.waiting:
                self._rest(host)
                continue
            failure = host.pace.closed_reason if host.pace.is_closed(now) else None
            if failure is None and not self._start(host, now):
                self._list(host, now)
                continue
            job = host.waiting.popleft()
            self._list(host, now)
            self._rest(host)
            return job, failure
        return None

    def turn_ends(self, name: str, now: float) -> float:
        """When a request of the host that has just begun has to have ended, for its turn is over then.

        Infinite where members of the run take no turns.
        """
        share = self._busy[name].share
        return math.inf if share is None else now + share.ends_in(self._unix_clock())

    def next_due(self, now: float) -> float | None:
        """When a host that has jobs may be asked, if only time is in the way; those of the past are ready."""
        self._make_ready(now)
        dues = [*self._kept.values(), *(due for due, _, _ in self._later[:1])]
        return min(dues, default=None)

    def leave(
        self,
        name: str,
        now: float,
        ending: Ending = Ending.NOTHING,
        started_at: float = math.inf,
        received: int = 0,
    ) -> None:
        """A request has ended. For ``PUSHED_BACK`` call ``pushed_back`` before.

        Args:
            name: of the host.
            now: the present.
            ending: what its end says about the host.
            started_at: when it began.
            received: bytes that it has brought.
        """
        host = self._busy[name]
        host.running -= 1
        if received and host.pace.bytes_per_s is not None:
            # Before its connection is another process's to use.
            self._change(host, now, lambda: host.pace.received(received), to_all=True)
        if ending is Ending.ACCEPTED:
            host.hear()
            self._change(host, now, lambda: host.pace.accepted_one(now, started_at))
        elif ending in (Ending.NO_CONNECTION, Ending.CONNECT_TIMEOUT):
            self._change(host, now, lambda: host.pace.connect_failed(now))
        if ending in (Ending.SILENT, Ending.CONNECT_TIMEOUT):
            host.was_silent(now, ending)
        if host.pace.is_closed(now):
            # Wherever it is listed, its jobs fail now.
            host.listed = False
        if host.bound:
            self._keep_or_release(host, now)
        self._list(host, now)
        self._rest(host)

    def pushed_back(
        self, name: str, now: float, started_at: float, retry_after_s: float | None, failure: Failure
    ) -> None:
        """The host asked for fewer requests; see ``HostPace.pushed_back``."""
        host, longest = self._busy[name], self._manners.max_retry_after
        host.hear()
        self._change(
            host,
            now,
            lambda: host.pace.pushed_back(now, started_at, retry_after_s, longest, failure),
            to_all=True,
        )

    def overloaded(self, name: str, now: float, started_at: float) -> None:
        """The host answered 503 and nothing more."""
        host = self._busy[name]
        host.hear()
        self._change(host, now, lambda: host.pace.overloaded(now, started_at))

    def space(self, name: str, spacing_s: float) -> None:
        """Let all processes ask a host no more often than each ``spacing_s``: its robots.txt says so."""
        host = self._host(name)
        if host.share is not None:
            host.share.space(spacing_s)
        else:
            spacing_s *= self._manners.processes
            host.pace.spacing_s = max(self._manners.seconds_between_requests(name), spacing_s)
        self._rest(host)

    def take_back(self, count: int, wanted: Callable[[Waiting], bool]) -> list[Waiting]:
        """Give up to ``count`` jobs back that are ``wanted``: the last ones of the hosts with the most."""
        taken: list[Waiting] = []
        for host in sorted(self._busy.values(), key=lambda host: len(host.waiting), reverse=True):
            if len(taken) >= count:
                break
            kept: deque[Waiting] = deque()
            while host.waiting and len(taken) < count:
                job = host.waiting.pop()
                if wanted(job):
                    taken.append(job)
                else:
                    kept.appendleft(job)
            host.waiting += kept  # ``next_job`` forgets the host if nothing is left
        return taken

    def close(self) -> None:
        """Give back what this process holds among those of the machine."""
        self._machine.close()

    def _host(self, name: str) -> Host[Waiting]:
        host = self._busy.get(name)
        if host is None:
            host = self._idle.pop(name, None)
            if host is None:
                host = self._new_host(name)
            self._busy[name] = host
        return host

    def _new_host(self, name: str) -> Host[Waiting]:
        manners, share = self._manners, None
        processes = manners.processes
        bound, rate, bytes_per_s = manners.bounds_of(name)
        if manners.members > 1:
            share = MemberShare(name, manners.member, manners.members, bound, rate, self._turn_s)
            bound = share.connections
            bytes_per_s = share.part_of(bytes_per_s) if bytes_per_s is not None else None
        if bytes_per_s is not None and self._paces is None:
            bytes_per_s /= processes
        most = self._concurrency if bound is None else max(1, bound // processes)
        pace = HostPace(
            float(min(self._concurrency, most)),
            manners.seconds_between_requests(name) if share is None else 0.0,
            alone=share is None and (processes == 1 or self._paces is not None),
            bytes_per_s=bytes_per_s,
        )
        return Host(name, pace, bound if bound and bound < processes else 0, self._tries, share)

    def _start(self, host: Host[Waiting], now: float) -> bool:
        if now < host.looks_at or not host.has_turn(now, self._unix_clock()):
            return False
        limited = (host.share is not None and host.share.is_limited) or host.pace.bytes_per_s is not None
        return self._change(host, now, lambda: self._start_alone(host, now), to_all=limited)

    def _start_alone(self, host: Host[Waiting], now: float) -> bool:
        pace = host.pace
        pace.turn_began(host.turn_began)
        if now < pace.due or not pace.allows(host.running):
            return False
        if not host.trial_allows(now):
            return False
        if pace.is_shared and pace.is_closed(now):
            return False  # another process has closed it since this one has looked
        if host.bound and not self._has_slot(host, now):
            host.looks_at = now + LOOK_AGAIN_S
            return False
        if host.share is not None:
            # Without the file of the run each process has a part of the rate.
            processes = 1 if self._paces is not None else self._manners.processes
            pace.spacing_s = host.share.spacing_s(self._unix_clock()) * processes
        self._kept.pop(host.name, None)
        host.running += 1
        host.asked_at = now if host.asked_at is None else host.asked_at
        pace.started(now)
        return True

    def _has_slot(self, host: Host[Waiting], now: float) -> bool:
        """Whether this process has one of the connections that are taken in turn, from before or now."""
        slots = self._slots_of(host)
        if self._machine.holds(host.name, slots):
            return True
        self._machine.release(host.name)  # of an earlier turn
        host.held_until = now + HELD_S
        return self._machine.acquire(host.name, slots)

    def _keep_or_release(self, host: Host[Waiting], now: float) -> None:
        """Keep the connection that is free now for one more request, or let another process have it."""
        soon = now + LOOK_AGAIN_S
        if host.waiting and now < host.held_until and host.pace.due <= soon:
            self._kept[host.name] = soon
        else:
            self._machine.release(host.name)
            host.looks_at = max(host.looks_at, soon)

    def _slots_of(self, host: Host[Waiting]) -> Sequence[int]:
        """The numbers of the connections of a host that this member's processes take in turn."""
        return range(host.bound) if host.share is None else host.share.slots(self._unix_clock())

    def _change(
        self, host: Host[Waiting], now: float, act: Callable[[], Result], *, to_all: bool = False
    ) -> Result:
        """Let ``act`` change a pace: that of all processes if it has pushed back, or does (``to_all``)."""
        if self._paces is not None and (to_all or self._paces.knows(host.name)):
            return self._paces.change(host.name, host.pace, now, act)
        return act()

    def _make_ready(self, now: float) -> None:
        for name in [name for name, until in self._kept.items() if until <= now]:
            # It is the turn of another member, or this process is busy, or the rows are gone.
            del self._kept[name]
            self._machine.release(name)
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

    def _list(self, host: Host[Waiting], now: float) -> None:
        """Have a host with waiting jobs looked at when it can take one."""
        if host.listed or not host.waiting:
            return
        pace = host.pace
        allowed = pace.allows(host.running) and host.trial_allows(now)
        due = host.due()
        if pace.is_closed(now) or (now >= due and allowed):
            self._ready.append(host)
        elif allowed:
            self._order += 1
            heapq.heappush(self._later, (due, self._order, host))
        else:
            return  # ``leave`` will
        host.listed = True

    def _rest(self, host: Host[Waiting]) -> None:
        """Remember a host that has nothing to do, and forget the one that had nothing to do for longest."""
        if host.running or host.waiting or host.listed or self._busy.get(host.name) is not host:
            return
        del self._busy[host.name]
        host.waiting = NO_QUEUE
        self._idle[host.name] = host
        if len(self._idle) > REMEMBERED_HOSTS:
            del self._idle[next(iter(self._idle))]

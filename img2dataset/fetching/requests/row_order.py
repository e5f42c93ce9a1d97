"""The order in which new rows begin: that of the list, and between them those of hosts not heard from yet.

A host that never answers holds a row for the whole timeout. Asked as late as the list names it, it holds the
end of the run as well; so every second row is one of a host that nothing is known of, as far as the rows
looked at go. Half of the rows keep the order of the list, so that its shards are finished one after another.

Comes in: new jobs. Goes out: the next to begin. Owned by ``scheduler``, under its lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from img2dataset.fetching.hosts.states import TRIAL_REQUESTS, HostState
from img2dataset.fetching.requests.waiting_rows import Job
from img2dataset.types import Row

# Rows looked at before their turn, some 400 bytes each: what one process makes in ten seconds, the usual
# timeout.
LOOK_AHEAD_ROWS = 4096


class RowOrder:
    """New jobs that have not begun.

    Args:
        state_of: what is known of a host at a time.
    """

    def __init__(self, state_of: Callable[[str, float], HostState]) -> None:
        self._state_of = state_of
        # Each job once in order; and perhaps once more, to ask an unknown host with, or to try one with.
        self._in_order: deque[Job] = deque()
        self._first: deque[Job] = deque()
        self._further: deque[Job] = deque()
        self._jobs_of: dict[str, int] = {}
        self._count = 0
        self._strangers_turn = False

    def __len__(self) -> int:
        return self._count

    def add(self, job: Job, now: float) -> None:
        """Put ``job`` last."""
        self._in_order.append(job)
        self._count += 1
        if not job.host:
            return
        jobs = self._jobs_of[job.host] = self._jobs_of.get(job.host, 0) + 1
        if jobs > TRIAL_REQUESTS:
            return
        state = self._state_of(job.host, now)
        if state == HostState.NEW and jobs == 1:
            self._first.append(job)
        elif state != HostState.KNOWN:
            self._further.append(job)

    def take(self, now: float) -> Job | None:
        """The next to begin; None if there is none."""
        self._strangers_turn = not self._strangers_turn
        job = self._of_a_stranger(now) if self._strangers_turn else None
        while job is None and self._in_order:
            next_job = self._in_order.popleft()
            job = None if next_job.taken else next_job
        if job is not None:
            self._remove(job)
        return job

    def take_back(self, count: int, wanted: Callable[[Job], bool]) -> list[Row]:
        """Give up to ``count`` rows back that are ``wanted``, the last ones."""
        rows: list[Row] = []
        kept: deque[Job] = deque()
        while len(rows) < count and self._in_order:
            job = self._in_order.pop()
            if job.taken:
                continue
            if wanted(job):
                self._remove(job)
                rows.append(job.row)
            else:
                kept.appendleft(job)
        self._in_order += kept
        return rows

    def take_all_of(self, host: str) -> list[Job]:
        """Take every job of a host."""
        if host not in self._jobs_of:
            return []
        jobs = [job for job in self._in_order if job.host == host and not job.taken]
        for job in jobs:
            self._remove(job)
        return jobs

    def forget(self, shard_ids: set[int]) -> None:
        """Drop the rows of shards that were given up."""
        for job in self._in_order:
            if not job.taken and job.row.shard_id in shard_ids:
                self._remove(job)

    def _of_a_stranger(self, now: float) -> Job | None:
        while self._further:
            job = self._further[0]
            state = self._state_of(job.host, now)
            if not job.taken and state in (HostState.NEW, HostState.ASKED):
                break  # its host may still answer; so may those of the jobs behind it
            self._further.popleft()
            if not job.taken and state == HostState.ON_TRIAL:
                return job
        while self._first:
            job = self._first.popleft()
            if not job.taken and self._state_of(job.host, now) == HostState.NEW:
                return job
        return None

    def _remove(self, job: Job) -> None:
        job.taken = True
        self._count -= 1
        if job.host:
            left = self._jobs_of[job.host] - 1
            if left:
                self._jobs_of[job.host] = left
            else:
                del self._jobs_of[job.host]

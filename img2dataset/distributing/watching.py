"""Workers that have stopped moving are found and ended, and idle ones let go. Used by ``local``."""

from __future__ import annotations

import time
from collections.abc import Collection

from img2dataset.distributing.messages import NoMoreWork
from img2dataset.distributing.pool_worker import PoolWorker
from img2dataset.processes import bury
from img2dataset.working.sharing import Stop

# How often the pool looks after its workers and threads, whatever else there is to do.
WATCH_INTERVAL_S = 1.0
# Workers say every second that they live. One that is silent is stopped, frozen or out of reach.
SILENCE_LIMIT_S = 30.0
# Until it has said so for the first time: many that load their libraries from one slow disk take their time.
STARTING_LIMIT_S = 300.0
# The longest that a worker is at one thing with reason is one try of an upload of a shard.
LONGEST_STEP_S = 900.0
# The pool itself has been stopped, or the machine has slept: what its workers said is not in yet.
OWN_ABSENCE_S = 10.0
# When a stop is asked for, what downloads under way have of --grace_s to end in, and what workers have of it
# in all, to put shards in place or aside: 4 and 25 of 30 s. The rest is for what the program does after them.
STOPPING_DOWNLOADS_SHARE = 4 / 30
STOPPING_SHARE = 25 / 30
STOPPING_SILENCE_S = 5.0
ENDING_TIME_S = 10.0


class Watch:
    """Looks after the workers now and then; knows when it did so last."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() - self._looked_at > WATCH_INTERVAL_S

    def look(self, workers: Collection[PoolWorker]) -> None:
        """End the workers that have stopped moving, and those that nobody hears any more."""
        now = time.monotonic()
        absent = now - self._looked_at > OWN_ABSENCE_S
        self._looked_at = now
        for worker in workers:
            if absent:
                worker.last_heard = now
            limit_s = SILENCE_LIMIT_S if worker.has_begun else STARTING_LIMIT_S
            if now - worker.last_heard > limit_s:
                worker.reason = f"silent for {limit_s:.0f} s: stopped, or frozen"
                worker.process.kill()
            elif worker.step_s > LONGEST_STEP_S:
                worker.reason = f"at one step for {LONGEST_STEP_S:.0f} s"
                worker.process.kill()
            worker.process.check_threads()


class StopDeadline:
    """The time that workers have to stop in, once they have been asked to; ``grace_s`` in all."""

    def __init__(self, workers: Collection[PoolWorker], grace_s: float):
        now = time.monotonic()
        self._until = now + STOPPING_SHARE * grace_s
        for worker in workers:
            worker.process.send(Stop(STOPPING_DOWNLOADS_SHARE * grace_s))
            # The program may have been stopped itself until now, as by Ctrl-Z: what they said is not in yet.
            worker.last_heard = now

    @property
    def is_over(self) -> bool:
        """Whether nothing more is waited for."""
        return time.monotonic() >= self._until

    def end_silent(self, workers: Collection[PoolWorker]) -> None:
        """End the workers that do not move: there is no time to wait for them."""
        now = time.monotonic()
        for worker in workers:
            if now - worker.last_heard > STOPPING_SILENCE_S:
                worker.process.kill()


def end_workers(workers: Collection[PoolWorker]) -> None:
    """Let idle workers end by themselves, and see that all of them are gone."""
    for worker in workers:
        if worker.shards:
            worker.process.kill()
        else:
            worker.process.send(NoMoreWork())
    bury([worker.process for worker in workers], ENDING_TIME_S)


def how_it_ended(exit_status: int) -> str:
    """What the exit status of a worker says, in words."""
    if exit_status == -9:
        return "killed by signal 9, as the system does when memory runs out"
    if exit_status < 0:
        return f"killed by signal {-exit_status}"
    return f"exit status {exit_status}"

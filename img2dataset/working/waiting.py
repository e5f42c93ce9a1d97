"""What the thread of pixels of a worker waits for, so that people learn why a run is not faster.

The worker says when it has waited, and ``take`` gives the sums since the last report.
"""

from __future__ import annotations

import resource
import sys
import time

from img2dataset.types import WaitsFor

# Shorter waits say nothing: the next body is just on its way.
LEAST_WAIT_S = 0.002
# Of the transfers that may be in flight, as many make it the network that is waited for.
FULL = 0.8
# ``ru_maxrss`` is in bytes on macOS and in units of 1,024 elsewhere.
_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


class Waiting:
    """The seconds of one worker: how many it has waited, and for what."""

    def __init__(self) -> None:
        self._waited_s: dict[WaitsFor, float] = {}
        self._since, self._cpu_since = time.monotonic(), time.process_time()

    def add(self, seconds: float, waits_for: WaitsFor) -> None:
        """So many seconds there was nothing to do."""
        self._waited_s[waits_for] = self._waited_s.get(waits_for, 0.0) + seconds

    def take(self) -> tuple[float, float, dict[WaitsFor, float], int]:
        """Seconds, seconds of CPU and those waited since the last time; the most memory so far, in bytes."""
        now, cpu_now = time.monotonic(), time.process_time()
        waited_s = {name: round(seconds, 3) for name, seconds in self._waited_s.items()}
        taken = (round(now - self._since, 3), round(cpu_now - self._cpu_since, 3), waited_s)
        self._waited_s.clear()
        self._since, self._cpu_since = now, cpu_now
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT
        return *taken, memory


def waits_for(
    *, store: bool, open_shards: int, in_flight: int, looked_up: int, limit: int, for_hosts: int, waiting: int
) -> WaitsFor:
    """What a worker waits for that has nothing to do.

    Args:
        store: it may finish no further shard, since those before are still to be uploaded.
        open_shards: that it has.
        in_flight, looked_up, limit: transfers that run, those of them whose name is being looked up, and how
            many may.
        for_hosts: rows whose host takes no more requests at present.
        waiting: rows that could begin.
    """
    if store and not in_flight:
        return "store"
    if looked_up > in_flight / 2:
        return "names"
    if in_flight >= FULL * limit:
        return "network"
    if for_hosts > in_flight:
        return "hosts"
    if not open_shards:
        return "list"
    return "network" if waiting else "last answers"

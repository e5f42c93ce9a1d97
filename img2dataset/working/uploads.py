"""Finished shards on their way to a store, while the worker makes the next ones.

In: a shard whose files are whole on the local disk (``PreparedShard``), and its report. Out: the report, when
the shard is done there, or the failure of its upload. Called by the worker, on its main thread; threads of
their own do the uploads, several at once. How many shards may wait for theirs is bounded: at the bound the
worker takes no new ones, so that a slow store fills no disk.

A store that is away for a while is waited for, ``store_patience`` seconds at most; one that refuses (no
permission, expired credentials) is not.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from img2dataset.formats.settings import STORE_OF_OUTPUT
from img2dataset.storage.patience import FIRST_WAIT_S, LONGEST_WAIT_S, Patience
from img2dataset.storage.retries import may_pass
from img2dataset.types import ShardReport
from img2dataset.working.shard_writer import PreparedShard

# Shards of one worker that are uploaded at once; of each, a ``files`` shard has many files under way.
SHARDS_AT_ONCE = 2
# Shards of one worker that are finished and not yet uploaded, those under way included: 10,000 images of 256
# pixels are some 200 MB.
MOST_FINISHED_SHARDS = 4


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The upload of a shard has ended; ``error``: how it failed."""

    shard: PreparedShard
    report: ShardReport
    error: Exception | None


class Uploads:
    """The shards of one worker that are finished and not yet uploaded.

    Args:
        deliver: takes each one when its upload has ended; called on other threads.
        patience_s: how long a store that is away is waited for.
        is_on_store: whether shards go to a store at all, and not to a local disk.
    """

    def __init__(
        self, deliver: Callable[[Uploaded], None], patience_s: float, is_on_store: bool = True
    ) -> None:
        self._deliver = deliver
        self._is_on_store = is_on_store
        self._waiting: queue.SimpleQueue[tuple[PreparedShard, ShardReport] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        # When each thread that is at an upload has last been seen to get on.
        self._moved: dict[int, float] = {}
        self._held: set[PreparedShard] = set()
        self._store = Patience(patience_s, STORE_OF_OUTPUT, "finished shards wait for it")
        self._closing = threading.Event()

    @property
    def count(self) -> int:
        """Shards whose upload has not ended, or has not been told yet."""
        return len(self._held)

    @property
    def takes_more(self) -> bool:
        """Whether one more shard may be finished."""
        return self.count < MOST_FINISHED_SHARDS

    @property
    def step_s(self) -> float:
        """Seconds that an upload has been at one try, the longest of those under way. Any thread."""
        now = time.monotonic()
        return max((now - moved for moved in list(self._moved.values())), default=0.0)

    def waits_for_store(self, error: Exception) -> bool:
        """Whether what has failed, other than an upload, is to be done again: the store is away."""
        waits = self._is_on_store and may_pass(error) and not self._closing.is_set()
        return waits and self._store.failed(error, time.monotonic())

    def begin(self, shard: PreparedShard, report: ShardReport) -> None:
        """Have a shard uploaded; ``report`` is given back with it."""
        self._held.add(shard)
        if len(self._threads) < min(SHARDS_AT_ONCE, self.count):
            # A daemon: a store that never answers must not keep the process from ending.
            thread = threading.Thread(target=self._work, name="upload", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._waiting.put((shard, report))

    def end(self, uploaded: Uploaded) -> None:
        """What was delivered has been taken note of."""
        self._held.discard(uploaded.shard)

    def hurry(self) -> None:
        """The run is stopped: a store that is away is waited for no more."""
        self._closing.set()

    def close(self) -> None:
        """Begin no further upload, and remove what was not uploaded. Does not wait for one under way."""
        self._closing.set()
        for _ in self._threads:
            self._waiting.put(None)
        for shard in self._held:
            shard.discard()

    def _work(self) -> None:
        me = threading.get_ident()
        while (taken := self._waiting.get()) is not None:
            error = None
            try:
                self._upload(taken[0], me)
            except Exception as failed:
                error = failed
            finally:
                self._moved.pop(me, None)
            self._deliver(Uploaded(*taken, error))

    def _upload(self, shard: PreparedShard, me: int) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            self._moved[me] = time.monotonic()
            try:
                shard.publish()
            except Exception as error:
                waits = may_pass(error) and not self._closing.is_set()
                if not waits or not self._store.failed(error, time.monotonic()):
                    raise
            else:
                self._store.worked(time.monotonic())
                return
            self._moved.pop(me, None)
            if self._closing.wait(wait_s * random.uniform(0.5, 1)):
                wait_s = 0.0
            else:
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

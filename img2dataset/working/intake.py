"""Takes shards from an iterator that may block, in a thread of its own, when the worker asks for one.

The worker's main thread has pixels to work on and must not wait for the next shard; what this thread
takes is put on the same queue as the fetched bodies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from img2dataset.types import Shard


@dataclass(frozen=True, slots=True)
class NoMoreShards:
    """The iterator has ended, or broke with ``error``."""

    error: BaseException | None = None


class Intake:
    """Delivers one ``Shard`` for each ``ask()``, then ``NoMoreShards`` once."""

    def __init__(self, shards: Iterable[Shard], deliver: Callable[[Shard | NoMoreShards], None]):
        self._shards = shards
        self._deliver = deliver
        self._asked = threading.Semaphore(0)
        self._closed = False
        # A daemon: an iterator that blocks for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have the next shard delivered as soon as the iterator hands it out."""
        self._asked.release()

    def close(self) -> None:
        """Take no further shard. Does not wait for one that is on its way."""
        self._closed = True
        self._asked.release()

    def _run(self) -> None:
        try:
            iterator = iter(self._shards)
            while True:
                self._asked.acquire()
                if self._closed:
                    return
                try:
                    shard = next(iterator)
                except StopIteration:
                    self._deliver(NoMoreShards())
                    return
                self._deliver(shard)
        except BaseException as error:
            self._deliver(NoMoreShards(error))

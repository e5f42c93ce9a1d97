"""A store that is away is waited for, and the user is told so once, and when it is back.

In: operations on a store. Out: what they return, perhaps an hour later. Called by the program of a run, for
what it asks of its output folder and its list; by the worker for its uploads. What a store refuses (no
permission, expired credentials) is not waited for.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from img2dataset.errors import one_line
from img2dataset.storage.retries import Result, may_pass, with_retries

logger = logging.getLogger("img2dataset")

# Between two tries of a store that is away, each of which asks again some times by itself.
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
# How often one who waits looks whether the run is to stop.
_LOOK_S = 0.2


class Patience:
    """Whether a store is away, and for how long it has been; tells the user when that changes. Any thread.

    Args:
        patience_s: how long it is waited for.
        store: what it is called in messages: ``the store of the output folder``.
        waits: what waits: ``finished shards wait for it``.
        is_over: asked while an operation waits: whether nothing is to be waited for any more.
    """

    def __init__(
        self, patience_s: float, store: str, waits: str, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._patience_s = patience_s
        self._store, self._waits = store, waits
        self._is_over = is_over
        self._lock = threading.Lock()
        self._away_since: float | None = None

    def tried(self, operation: Callable[[], Result]) -> Result:
        """What the operation returns, tried again for as long as the store is waited for.

        Raises:
            Exception: what it raised the last time.
        """
        wait_s = FIRST_WAIT_S
        while True:
            try:
                result = with_retries(operation)
                self.worked(time.monotonic())
                return result
            except Exception as error:
                waits = may_pass(error) and not self._is_over() and self.failed(error, time.monotonic())
                if not waits or not self._sleep(wait_s * random.uniform(0.5, 1)):
                    raise
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

    def failed(self, error: Exception, now: float) -> bool:
        """Something has failed in a way that may pass; whether to try it again."""
        with self._lock:
            if self._away_since is None and self._patience_s:
                self._away_since = now
                logger.warning(
                    "%s is away: %s: %s; %s, for %.0f s at most (--store_patience)",
                    self._store,
                    type(error).__name__,
                    one_line(error),
                    self._waits,
                    self._patience_s,
                )
            return self._away_since is not None and now - self._away_since < self._patience_s

    def worked(self, now: float) -> None:
        """Something has ended well."""
        with self._lock:
            away_since, self._away_since = self._away_since, None
        if away_since is not None:
            logger.warning("%s is back after %.0f s", self._store, now - away_since)

    def _sleep(self, seconds: float) -> bool:
        """Whether it was waited for so long: the run may be stopped meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._is_over():
                return False
            time.sleep(min(_LOOK_S, left))
        return True


def patience_with_list(patience_s: float, is_stopped: Callable[[], bool]) -> Patience:
    """That of a run with the store that its list is in."""
    return Patience(patience_s, "the store of the list", "the run waits for it", is_stopped)

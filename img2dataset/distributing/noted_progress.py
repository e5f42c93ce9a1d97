"""What the members of a run have done, read from their notes while they are at work. Used by ``spark``.

Spark tells of a job when all of it is done, which may take hours; the notes in the output folder are some
seconds old.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from img2dataset.distributing.member_notes import read_members
from img2dataset.storage.locations import Location
from img2dataset.types import Status

logger = logging.getLogger("img2dataset")

LOOK_INTERVAL_S = 3.0
# Of the time, this part at most is spent on reading notes: a thousand of them in a store take a while.
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class RowsNoted:
    """The rows that the members of the run have done since the first look, by status, and their notices."""

    rows: Counter[Status]
    notices: list[str]


class NotedProgress:
    """Reads the notes now and then, in a thread of its own, until it is closed.

    Args:
        location: the output folder.
        run: the run id.
        but: the name of the member that is not counted: the program itself.
        tell: called with what was found; thread safe.
    """

    def __init__(self, location: Location, run: str, but: str, tell: Callable[[RowsNoted], None]) -> None:
        self._location, self._run, self._but, self._tell = location, run, but, tell
        self._closing = threading.Event()
        threading.Thread(target=self._look, name="progress notes", daemon=True).start()

    def close(self) -> None:
        """Read no more."""
        self._closing.set()

    def _look(self) -> None:
        wait_s = 0.0
        before: Counter[Status] | None = None  # of earlier passes
        while not self._closing.wait(wait_s):
            began = time.monotonic()
            rows: Counter[Status] = Counter()
            notices: list[str] = []
            try:
                for note in read_members(self._location):
                    if note.run == self._run and note.name != self._but:
                        rows.update(cast("dict[Status, int]", note.rows_done))
                        notices += note.notices
                before = Counter(rows) if before is None else before
                self._tell(RowsNoted(rows - before, notices))
            except Exception as error:  # every file system has its own errors
                logger.debug("the notes of the members cannot be read: %s", error)
            wait_s = max(LOOK_INTERVAL_S, (time.monotonic() - began) / _SHARE)

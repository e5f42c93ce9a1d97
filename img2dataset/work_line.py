"""How far a piece of work is, on standard error: what takes longer than some seconds shows it.

On a terminal a line that is drawn over and over; in a notebook a bar; in a file or a log a plain line now and
then.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from img2dataset.log_output import lines_are_json, notice

Item = TypeVar("Item")
# Seconds: what is done sooner needs no line.
QUIET_S = 2.0
# Seconds to the first plain line; each comes twice as long after the one before, until there is one a minute.
FIRST_LINE_S, _LONGEST_BETWEEN_LINES_S = 5.0, 60.0


def tqdm_type() -> Any:
    """The tqdm that suits who reads: of a Jupyter kernel its bar."""
    if "ipykernel" in sys.modules:
        from tqdm.auto import tqdm as notebook_tqdm

        return notebook_tqdm
    # Not from tqdm.auto, which loads asyncio: 30 ms.
    from tqdm import tqdm

    return tqdm


class NowAndThen:
    """When a plain line is due.

    Args:
        first_line_s: seconds to the first one.
    """

    def __init__(self, first_line_s: float = FIRST_LINE_S) -> None:
        self._began = time.monotonic()
        self._next_line = self._began + first_line_s
        self._between_lines_s = first_line_s

    def due(self) -> float | None:
        """The seconds since the beginning, if a line is due; the next one is later then."""
        now = time.monotonic()
        if now < self._next_line:
            return None
        self._between_lines_s = min(2 * self._between_lines_s, _LONGEST_BETWEEN_LINES_S)
        self._next_line = now + self._between_lines_s
        return now - self._began


class WorkLine:
    """The line of one piece of work; made by ``work_line``.

    Args:
        what: is done, as ``known URLs``.
        unit: what is counted, in the plural.
        total: how many there are, where that is known.
        quiet_s: seconds without a line.
        first_line_s: seconds to the first plain line.
    """

    def __init__(self, what: str, unit: str, total: int | None, quiet_s: float, first_line_s: float) -> None:
        self._what = what
        self._unit = unit
        self._done = 0
        self._note = ""
        self._plain_lines = NowAndThen(first_line_s)
        # None: quiet when standard error is no terminal.
        disable = True if lines_are_json() else None
        self._line = tqdm_type()(
            total=total,
            unit=f" {unit}",
            desc=what,
            delay=quiet_s,
            disable=disable,
            file=sys.stderr,
            leave=False,
        )
        self._total = total

    def set_total(self, total: int) -> None:
        """How many there are, once it is known."""
        self._total = self._line.total = total

    def note(self, text: str) -> None:
        """What is said behind the counts."""
        self._note = text
        self._line.set_postfix_str(text, refresh=False)

    def advance(self, count: int = 1) -> None:
        """So many more are done; 0 where only time has passed, less than that where work is done again."""
        self._done += count
        if not self._line.disable:
            # A terminal that has been closed ends the line, and not the work.
            with contextlib.suppress(OSError):
                self._line.update(count)
        elif (seconds := self._plain_lines.due()) is not None:
            of_total = f" of {self._total:,}" if self._total is not None else ""
            note = f", {self._note}" if self._note else ""
            notice(
                "work",
                f"{self._what}: {self._done:,}{of_total} {self._unit} in {seconds:.0f} s{note}",
                work=self._what,
                done=self._done,
                total=self._total,
            )

    def advance_to(self, done: int) -> None:
        """So many are done by now."""
        self.advance(done - self._done)

    def close(self) -> None:
        """Take the line away."""
        with contextlib.suppress(OSError):
            self._line.close()


@contextlib.contextmanager
def work_line(
    what: str,
    unit: str,
    total: int | None = None,
    quiet_s: float = QUIET_S,
    first_line_s: float = FIRST_LINE_S,
) -> Iterator[WorkLine]:
    """A line for a piece of work; arguments as of ``WorkLine``."""
    line = WorkLine(what, unit, total, quiet_s, first_line_s)
    try:
        yield line
    finally:
        line.close()


def with_line(items: Iterable[Item], what: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """The same items, with a line of how many have been taken."""
    with work_line(what, unit, total) as line:
        for item in items:
            yield item
            line.advance()


def say_beside_line(text: str) -> bool:
    """Print a line without breaking into one of progress; False if nobody reads it any more.

    Args:
        text: safe to print.
    """
    try:
        with tqdm_type().external_write_mode(file=sys.stdout):
            print(text, flush=True)
    except OSError:
        # What is left in the buffer would be written, and fail, at the end of the program.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True

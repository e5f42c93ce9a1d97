"""The progress of a run: counts of rows come in; a line goes out, as it suits who reads it.

On a terminal a line that is drawn over and over; in a notebook a bar; in a file or a log a plain line now and
then.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from img2dataset.counted import counted
from img2dataset.log_output import json_line
from img2dataset.types import SUCCESS, Status

# What is done sooner needs no line.
_QUIET_S = 2.0
# A run writes its first plain line after some seconds, and one a minute once it takes long.
_FIRST_LINE_S, _LONGEST_BETWEEN_LINES_S = 5.0, 60.0


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    return "ipykernel" in sys.modules


def _tqdm() -> Any:
    if in_notebook():
        from tqdm.auto import tqdm as notebook_tqdm

        return notebook_tqdm
    # Not from tqdm.auto, which loads asyncio: 30 ms.
    from tqdm import tqdm

    return tqdm


@contextlib.contextmanager
def known_urls_line(shards: int, quiet_s: float = _QUIET_S) -> Iterator[Callable[[int, int], None]]:
    """A line for the reading of the URLs that an output has, from ``quiet_s`` seconds on.

    Args:
        shards: how many there are to read.
        quiet_s: seconds without a line.

    Yields:
        To be called after each shard with how many have been read since the reading began, and how many URLs
        they have.
    """
    # disable=None: quiet when standard error is no terminal.
    with _tqdm()(
        total=shards, unit=" shards", desc="known URLs", delay=quiet_s, disable=None, file=sys.stderr
    ) as line:
        before = 0

        def show(read: int, urls: int) -> None:
            nonlocal before
            # A second reading counts from 1 again.
            before = 0 if read <= before else before
            line.set_postfix_str(f"{counted(urls, 'URL')}", refresh=False)
            with contextlib.suppress(OSError):
                line.update(read - before)
            before = read

        yield show


class ProgressLine:
    """Counts rows: rate, success share, failures, time left where the total is known.

    Args:
        total: rows of the run, if they are known.
        first_line_s: seconds to the first plain line, where the output is neither terminal nor notebook.
        as_json: plain lines, each an object of JSON, wherever the output goes.
    """

    def __init__(self, total: int | None = None, first_line_s: float = _FIRST_LINE_S, as_json: bool = False):
        self._as_json = as_json
        # None: quiet when standard error is no terminal.
        disable = True if as_json else None
        self._line = _tqdm()(total=total, unit=" img", smoothing=0.1, disable=disable, file=sys.stderr)
        self._total = total
        self._began = time.monotonic()
        self._next_line = self._began + first_line_s
        self._between_lines_s = first_line_s

    def set_total(self, total: int | None) -> None:
        """The number of rows of this run, once it is known."""
        if total is not None:
            self._total = self._line.total = total

    def show(self, rows_done: Counter[Status]) -> None:
        """Show the rows done so far, by status."""
        count = sum(rows_done.values())
        if self._line.disable:
            self._show_plainly(rows_done, count)
            return
        if not count:
            return
        failed = count - rows_done[SUCCESS]
        self._line.set_postfix_str(f"{rows_done[SUCCESS] / count:.1%} ok, {failed:,} failed", refresh=False)
        # Rows of a shard that is made again count once: the line may go back a little. A terminal that has
        # been closed ends the line and not the run.
        with contextlib.suppress(OSError):
            self._line.update(count - self._line.n)

    def close(self) -> None:
        """Leave the line as it stands."""
        with contextlib.suppress(OSError):
            self._line.close()

    def _show_plainly(self, rows_done: Counter[Status], count: int) -> None:
        now = time.monotonic()
        if now < self._next_line:
            return
        self._between_lines_s = min(2 * self._between_lines_s, _LONGEST_BETWEEN_LINES_S)
        self._next_line = now + self._between_lines_s
        seconds = now - self._began
        if self._as_json:
            self._say(
                json_line(
                    "progress",
                    rows={str(status): n for status, n in rows_done.items()},
                    rows_of_run=self._total,
                    seconds=round(seconds, 1),
                )
            )
            return
        rows = f"{count:,} of {counted(self._total, 'row')}" if self._total else counted(count, "row")
        succeeded = f", {rows_done[SUCCESS] / count:.1%} ok" if count else ""
        self._say(f"img2dataset: {rows} in {seconds:.0f} s, {count / seconds:,.0f} rows/s{succeeded}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever reads may have gone
            print(line, file=sys.stderr, flush=True)

"""The progress of a run: counts of rows come in; a line goes out, as it suits who reads it.

On a terminal a line that is drawn over and over; in a notebook a bar; in a file or a log a plain line now and
then.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter

from img2dataset.counted import counted
from img2dataset.log_output import json_line
from img2dataset.types import SUCCESS, Status
from img2dataset.work_line import FIRST_LINE_S, NowAndThen, tqdm_type


class ProgressLine:
    """Counts rows: rate, success share, failures, time left where the total is known.

    Args:
        total: rows of the run, if they are known.
        first_line_s: seconds to the first plain line, where the output is neither terminal nor notebook.
        as_json: plain lines, each an object of JSON, wherever the output goes.
    """

    def __init__(self, total: int | None = None, first_line_s: float = FIRST_LINE_S, as_json: bool = False):
        self._as_json = as_json
        # None: quiet when standard error is no terminal.
        disable = True if as_json else None
        self._line = tqdm_type()(total=total, unit=" img", smoothing=0.1, disable=disable, file=sys.stderr)
        self._total = total
        self._plain_lines = NowAndThen(first_line_s)

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
        seconds = self._plain_lines.due()
        if seconds is None:
            return
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

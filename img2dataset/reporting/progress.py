"""The progress line: counts of settled rows come in; a line on the terminal goes out, and only there."""

from __future__ import annotations

import sys
from collections import Counter

from tqdm import tqdm

from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Status


class ProgressLine:
    """A tqdm line that counts rows: rate, success share, failures, time left where the total is known."""

    def __init__(self, total: int | None = None):
        # disable=None: quiet when standard error is no terminal.
        self._line = tqdm(total=total, unit=" img", smoothing=0.1, disable=None, file=sys.stderr)

    def set_total(self, total: int | None) -> None:
        """The number of rows of this run, once it is known."""
        if total is not None and total != self._line.total:
            self._line.total = total
            self._line.refresh()

    def show(self, settled: Counter[Status]) -> None:
        """Show the rows settled so far, by status."""
        if self._line.disable:
            return
        count = sum(settled.values())
        if count:
            self._line.set_postfix_str(
                f"{settled[SUCCESS] / count:.1%} success, {settled[FAILED_TO_DOWNLOAD]} not downloaded,"
                f" {settled[FAILED_TO_RESIZE]} not resized",
                refresh=False,
            )
        # Rows of a shard that is made again count once: the line may go back a little.
        self._line.update(count - self._line.n)

    def close(self) -> None:
        """Leave the line as it stands."""
        self._line.close()

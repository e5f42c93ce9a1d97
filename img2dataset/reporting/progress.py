"""The progress line: counts of settled rows come in; a line on the terminal goes out, and only there."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator

from tqdm import tqdm

from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Status

# What is done sooner needs no line.
_QUIET_S = 2.0


@contextlib.contextmanager
def known_urls_line(shards: int, quiet_s: float = _QUIET_S) -> Iterator[Callable[[int, int], None]]:
    """A line for the reading of the URLs that an output has, from ``quiet_s`` seconds on.

    Args:
        shards: how many there are to read.
        quiet_s: seconds without a line.

    Yields:
        What is told after each shard how many have been read since the reading began, and their URLs.
    """
    # disable=None: quiet when standard error is no terminal.
    with tqdm(
        total=shards, unit=" shards", desc="known URLs", delay=quiet_s, disable=None, file=sys.stderr
    ) as line:
        before = 0

        def show(read: int, urls: int) -> None:
            nonlocal before
            # A second reading counts from 1 again.
            before = 0 if read <= before else before
            line.set_postfix_str(f"{urls:,} URLs", refresh=False)
            with contextlib.suppress(OSError):
                line.update(read - before)
            before = read

        yield show


class ProgressLine:
    """A tqdm line that counts rows: rate, success share, failures, time left where the total is known."""

    def __init__(self, total: int | None = None):
        # disable=None: quiet when standard error is no terminal.
        self._line = tqdm(total=total, unit=" img", smoothing=0.1, disable=None, file=sys.stderr)

    def set_total(self, total: int | None) -> None:
        """The number of rows of this run, once it is known."""
        if total is not None and total != self._line.total:
            self._line.total = total

    def show(self, settled: Counter[Status]) -> None:
        """Show the rows settled so far, by status."""
        count = sum(settled.values())
        if self._line.disable or not count:
            return
        self._line.set_postfix_str(
            f"{settled[SUCCESS] / count:.1%} success, {settled[FAILED_TO_DOWNLOAD]} not downloaded,"
            f" {settled[FAILED_TO_RESIZE]} not resized",
            refresh=False,
        )
        # Rows of a shard that is made again count once: the line may go back a little. A terminal that has
        # been closed ends the line and not the run.
        with contextlib.suppress(OSError):
            self._line.update(count - self._line.n)

    def close(self) -> None:
        """Leave the line as it stands."""
        with contextlib.suppress(OSError):
            self._line.close()

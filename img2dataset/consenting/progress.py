"""How far a command is, on standard error: what takes longer than two seconds shows it, on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

# Seconds before the line appears.
_SHOWN_AFTER_S = 2.0


@contextlib.contextmanager
def progress(unit: str, total: int) -> Iterator[Callable[[int], object]]:
    """A line of progress; called with how many more are done.

    Args:
        unit: what is counted, in the plural.
        total: how many there are.
    """
    from tqdm import tqdm

    # disable=None: quiet when standard error is no terminal.
    with tqdm(
        total=total,
        unit=f" {unit}",
        disable=None,
        file=sys.stderr,
        delay=_SHOWN_AFTER_S,
        leave=False,
    ) as line:
        yield line.update


def say_beside_progress(text: str) -> bool:
    """Print a line without breaking into a line of progress; False if nobody reads it any more.

    Args:
        text: safe to print.
    """
    from tqdm import tqdm

    try:
        with tqdm.external_write_mode(file=sys.stdout):
            print(text, flush=True)
    except OSError:
        # What is left in the buffer would be written, and fail, at the end of the program.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True

"""What this program and the processes below it use of the machine, where the system tells (Linux)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Use:
    """Seconds of CPU so far, and bytes of memory now; None where they are not known.

    What processes share is counted in each. What those that have ended have used is counted by their parents.
    """

    cpu_s: float | None
    memory: int | None


def use_of_tree(process_id: int | None = None) -> Use:
    """The use of a process, of this one by default, and of those that it has started, and they."""
    if not os.path.isdir("/proc/self/task"):
        return Use(None, None)
    ticks = pages = 0
    for each in _tree(process_id or os.getpid()):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in brackets, may have spaces and brackets (proc(5)).
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            # Own and ended children's time, user's and system's; pages of memory.
            ticks += sum(map(int, fields[11:15]))
            pages += int(fields[21])
    return Use(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def _tree(process_id: int) -> list[int]:
    found = [process_id]
    for each in found:  # it grows meanwhile
        # A process, or a thread of it, may end at any moment.
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                with contextlib.suppress(OSError):
                    found += map(int, Path(f"/proc/{each}/task/{thread}/children").read_text().split())
    return found

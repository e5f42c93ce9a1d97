"""How much memory something took at most, itself and nothing before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


def with_own_peak(command: Sequence[str]) -> list[str]:
    """The command, so that ``ru_maxrss`` of its process is its own.

    The peak of a process begins with that of the one that started it, and that of a process of tests is what
    the tests before took. A shell's is small; what follows keeps it from becoming the command itself.
    """
    return ["/bin/sh", "-c", '"$@"; exit $?', "sh", *command]


@contextmanager
def takes_at_most(megabytes: int) -> Iterator[None]:
    """Fails if the block makes this process larger by more, for however short a while."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what it has now
    except OSError:
        pytest.skip("needs Linux's /proc")
    before = _peak_kilobytes()
    yield
    assert _peak_kilobytes() - before < 1000 * megabytes


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

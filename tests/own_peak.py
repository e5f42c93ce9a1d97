"""A process that is to say how much memory it took at most, itself and nobody before it."""

from __future__ import annotations

from collections.abc import Sequence


def with_own_peak(command: Sequence[str]) -> list[str]:
    """The command, so that ``ru_maxrss`` of its process is its own.

    The peak of a process begins with that of the one that started it, and that of a process of tests is what
    the tests before took. A shell's is small; what follows keeps it from becoming the command itself.
    """
    return ["/bin/sh", "-c", '"$@"; exit $?', "sh", *command]

"""What this machine has for downloads: descriptors, a route, time; and the errors that say what it lacks.

Asks the operating system and decides nothing. Used by every part of the room.
"""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import time

# Errors of sockets and files that say something of this machine, and nothing of the host: no way there.
UNREACHABLE_ERRORS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
)
# This machine lacks descriptors, memory or buffers, whatever was to be reached.
RESOURCE_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
# Ten thousand is what macOS allows where it says "unlimited".
ENOUGH_DESCRIPTORS = 10_240
# For pipes, shard files, the list and name servers; each transfer may have an idle connection beside it.
KEPT_FREE = 64


def raise_limit() -> None:
    """Raise the soft limit of descriptors towards the hard one, as far as a process can need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(ENOUGH_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_transfers() -> int:
    """The transfers that there are descriptors for."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(1, (soft - KEPT_FREE) // 2)


def has_route(address: str) -> bool:
    """Whether this machine has a way to a numeric ``address``. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((address, 9))
    except OSError as error:
        return error.errno not in UNREACHABLE_ERRORS
    return True


def seconds_slept() -> float:
    """For how long the machine has slept since it was started, where the system tells; else 0."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0

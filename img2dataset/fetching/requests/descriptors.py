"""How many descriptors this process may have, and how many transfers they are enough for."""

from __future__ import annotations

import contextlib
import resource

# Ten thousand is what macOS allows where it says "unlimited".
ENOUGH_DESCRIPTORS = 10_240
# For pipes, shard files, the list and name servers; each transfer may have an idle connection beside it.
KEPT_FREE = 64


def raise_limit() -> None:
    """Raise the soft limit towards the hard one, as far as a process can need."""
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

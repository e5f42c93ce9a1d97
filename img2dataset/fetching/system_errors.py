"""What the system's errors say of this machine, and nothing of the host."""

from __future__ import annotations

import errno

# No way there.
UNREACHABLE_ERRORS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
)
# What this machine lacks, whatever it was that was to be reached.
MEANS_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

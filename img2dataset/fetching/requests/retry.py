"""Whether and when a failed row is tried again. A pure function of values; called by the fetcher.

Exponential backoff with full jitter: rows that failed together (a host that was overwhelmed) come back
spread out, not together.
"""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Callable

from img2dataset.failures import Failure

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
# A server that asks for more is better asked in a later run: the row would hold its shard open.
LONGEST_RETRY_AFTER_S = 120.0


def delay_before_retry(
    failure: Failure, tries: int, retries: int, retry_after_s: float | None, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before the next try, or None if there shall be none.

    Args:
        failure: how the latest try ended.
        tries: tries made so far, at least 1.
        retries: tries allowed after the first.
        retry_after_s: what the server asked to wait, seconds.
        random: a number in [0, 1) at each call.
    """
    if tries > retries or not failure.kind.again:
        return None
    backoff = random() * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries - 1, 30))
    if retry_after_s is None:
        return backoff
    if retry_after_s > LONGEST_RETRY_AFTER_S:
        return None
    # Not all at the very moment the server named.
    return retry_after_s + min(backoff, FIRST_DELAY_S)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds from ``now`` (Unix time) that a Retry-After header asks for; None if it is unreadable."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):  # the last for a year of twenty digits
        return None
    if date.tzinfo is None:
        # An asctime date says no zone and -0000 none that is known: HTTP's dates are of Greenwich (RFC 9110).
        date = date.replace(tzinfo=datetime.timezone.utc)
    try:
        return max(0.0, date.timestamp() - now)
    except (OverflowError, ValueError, OSError):
        return None

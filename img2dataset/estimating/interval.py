"""How far a share that was seen in a sample may be from that of the whole.

In: rows of a sample by the part of the list that they are of. Out: the interval. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Of the normal distribution, for 95 %.
_Z = 1.959964
# With fewer parts, how they differ says nothing.
_LEAST_PARTS = 8


def wilson_interval(successes: int, rows: float, share: float | None = None) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); from 0 to 1 where there are no rows.

    Args:
        successes: rows that succeeded.
        rows: of the sample; fewer than there are where they tell less.
        share: of the successes; None: ``successes / rows``.
    """
    if rows <= 0:
        return 0.0, 1.0
    seen = successes / rows if share is None else share
    centre = (seen + _Z**2 / (2 * rows)) / (1 + _Z**2 / rows)
    half = _Z * math.sqrt(seen * (1 - seen) / rows + _Z**2 / (4 * rows**2)) / (1 + _Z**2 / rows)
    return max(0.0, centre - half), min(1.0, centre + half)


def design_effect(succeeded: Sequence[bool], part_of: Sequence[int]) -> float:
    """How many times less a sample tells than one whose rows have nothing to do with each other; at least 1.

    Rows of one part of a list are often of one host, and succeed or fail together. The variance of the
    share between the parts says how much so (Kish, Survey Sampling, 1965).

    Args:
        succeeded: whether each row did.
        part_of: which part of the list it is of.
    """
    rows = len(succeeded)
    sums: dict[int, tuple[int, int]] = {}
    for success, part in zip(succeeded, part_of, strict=True):
        good, all_rows = sums.get(part, (0, 0))
        sums[part] = good + success, all_rows + 1
    share = sum(succeeded) / rows if rows else 0.0
    if len(sums) < _LEAST_PARTS or share in (0.0, 1.0):
        return 1.0
    between = sum((good - share * all_rows) ** 2 for good, all_rows in sums.values())
    variance = between * len(sums) / (len(sums) - 1) / rows**2
    return max(1.0, variance / (share * (1 - share) / rows))

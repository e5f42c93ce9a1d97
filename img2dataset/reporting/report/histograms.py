"""Whole numbers counted exactly up to a bound: of sides of images, and of lengths of captions.

Numbers come in, by the array; least, median, mean, largest, and how many lie between round bounds go out.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Larger numbers count as this one.
MOST = 65_535


class Histogram:
    """How often each number was there."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] | None = None

    def take(self, numbers: NDArray[np.int64]) -> None:
        """Count these numbers, 0 or more each."""
        import numpy as np

        counts = np.bincount(np.minimum(numbers, MOST))
        if self._counts is None:
            self._counts = np.zeros(MOST + 1, np.int64)
        self._counts[: len(counts)] += counts

    def add(self, other: Histogram) -> None:
        """Count what another one has."""
        if other._counts is not None:
            self._counts = other._counts if self._counts is None else self._counts + other._counts

    @property
    def count(self) -> int:
        """How many numbers there were."""
        return int(self._counts.sum()) if self._counts is not None else 0

    def to_document(self, bounds: Sequence[int]) -> dict[str, Any]:
        """This as JSON values.

        Args:
            bounds: the first number of each class but the first, ascending.
        """
        import numpy as np

        if self._counts is None or not (total := self.count):
            return {"count": 0}
        there = np.flatnonzero(self._counts)
        before = np.cumsum(self._counts)
        classes = [0] * (len(bounds) + 1)
        for value in there.tolist():
            classes[bisect.bisect_right(bounds, value)] += int(self._counts[value])
        return {
            "count": total,
            "least": int(there[0]),
            "median": int(np.searchsorted(before, (total + 1) // 2)),
            "mean": round(float((there * self._counts[there]).sum() / total), 1),
            "largest": int(there[-1]),
            "histogram": dict(zip(_names(bounds), classes, strict=True)),
        }


def _names(bounds: Sequence[int]) -> list[str]:
    between = [
        f"{first:,}–{following - 1:,}" if following - first > 1 else f"{first:,}"
        for first, following in zip((0, *bounds), bounds, strict=False)
    ]
    return [*between, f"{bounds[-1]:,}+"]

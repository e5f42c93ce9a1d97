"""Does memory grow? Samples of a run come in, a verdict in figures goes out. Pure; for ``soak.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Samples = Sequence[tuple[float, int]]
FIRST_MINUTE = 10
# A leak of one KB a row shows as 20 MB a minute at 300 rows a second; the maxima of one minute and the next
# differ by some 5 % of themselves.
MOST_GROWTH = 0.05


@dataclass(frozen=True)
class MemoryVerdict:
    """Of the highest sample of each minute, from the tenth to the last: MB, and MB a minute."""

    minutes: int
    tenth: float
    last: float
    slope: float

    @property
    def is_flat(self) -> bool:
        """The line through them rises by less than a twentieth over the whole, and there are five or more."""
        return self.minutes >= 5 and self.slope * self.minutes <= MOST_GROWTH * self.tenth

    def __str__(self) -> str:
        if not self.minutes:
            return "memory: the run did not last into its eleventh minute"
        found = "flat" if self.is_flat else "NOT flat"
        return (
            f"memory from the tenth minute, {self.minutes} minutes: {self.tenth:.0f} MB, at the end"
            f" {self.last:.0f} MB, slope {self.slope:+.2f} MB a minute: {found}"
        )


def minute_maxima(samples: Samples) -> list[int]:
    """The highest sample of each minute, in MB."""
    maxima: dict[int, int] = {}
    for seconds, taken in samples:
        maxima[int(seconds // 60)] = max(maxima.get(int(seconds // 60), 0), taken)
    return [round(maxima[minute] / 1e6) for minute in sorted(maxima)]


def verdict_of(samples: Samples) -> MemoryVerdict:
    """What the whole minutes of a run say; the first is minute 0, the last is left out as it is not whole."""
    later = minute_maxima(samples)[FIRST_MINUTE:-1]
    if not later:
        return MemoryVerdict(0, 0.0, 0.0, 0.0)
    slope = float(np.polyfit(range(len(later)), later, 1)[0]) if len(later) > 1 else 0.0
    return MemoryVerdict(len(later), later[0], later[-1], slope)

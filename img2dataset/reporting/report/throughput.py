"""Rows and images a second over time: when each shard began and ended comes in, a series goes out.

A shard's rows count evenly over its time. Between runs, or where a run lay still, nothing was made: pauses
are left out, so that a run of two days that was gone on with a year later is still seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.types import ShardStats

STEPS = 60
# Of the whole time at work, a pause that is longer is left out, and one that is longer than this, in seconds.
_SHARE_OF_PAUSE, _LEAST_PAUSE_S = 0.05, 30.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was made in each step of ``step_s`` seconds.

    ``began``, ``ended``: Unix seconds of the first shard's beginning and the last one's end. ``at_work_s``:
    between them without pauses, of which there were ``pauses``.
    """

    began: float
    ended: float
    at_work_s: float
    pauses: int
    step_s: float
    rows: list[float]
    images: list[float]

    def to_document(self) -> dict[str, Any]:
        """This as JSON values; per second."""
        return {
            "began": round(self.began, 3),
            "ended": round(self.ended, 3),
            "at_work_s": round(self.at_work_s, 3),
            "pauses": self.pauses,
            "step_s": round(self.step_s, 6),
            "rows_per_second": [round(rows / self.step_s, 3) for rows in self.rows],
            "images_per_second": [round(images / self.step_s, 3) for images in self.images],
        }


def throughput_of(shards: Sequence[ShardStats]) -> Throughput | None:
    """The throughput of these shards; None if not one has its times."""
    timed = [stats for stats in shards if stats.end_time >= stats.start_time > 0]
    if not timed:
        return None
    stretches = _stretches(timed)
    began, ended = stretches[0][0], max(end for _, end in stretches)
    at_work_s = sum(end - begin for begin, end in stretches)
    step_s = max(at_work_s, 1e-3) / STEPS
    rows, images = [0.0] * STEPS, [0.0] * STEPS
    for stats in timed:
        begin, end = (_at_work(stretches, time) for time in (stats.start_time, stats.end_time))
        for step, share in _shares(begin / step_s, end / step_s):
            rows[step] += stats.count * share
            images[step] += stats.successes * share
    return Throughput(began, ended, at_work_s, len(stretches) - 1, step_s, rows, images)


def _stretches(shards: Sequence[ShardStats]) -> list[tuple[float, float]]:
    """When some shard was open: beginnings and ends, with short pauses filled."""
    times = sorted((stats.start_time, stats.end_time) for stats in shards)
    merged = [times[0]]
    for begin, end in times[1:]:
        if begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    at_work_s = sum(end - begin for begin, end in merged)
    least_s = max(_LEAST_PAUSE_S, _SHARE_OF_PAUSE * at_work_s)
    found = [merged[0]]
    for begin, end in merged[1:]:
        if begin - found[-1][1] <= least_s:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def _at_work(stretches: Sequence[tuple[float, float]], time: float) -> float:
    """Seconds at work before a time."""
    return sum(min(time, end) - begin for begin, end in stretches if begin < time)


def _shares(begin: float, end: float) -> list[tuple[int, float]]:
    """The steps that lie between two places, with the share of each."""
    first, last = min(int(begin), STEPS - 1), min(int(end), STEPS - 1)
    if first == last or end <= begin:
        return [(first, 1.0)]
    return [
        (step, (min(end, step + 1 if step < last else end) - max(begin, step)) / (end - begin))
        for step in range(first, last + 1)
    ]

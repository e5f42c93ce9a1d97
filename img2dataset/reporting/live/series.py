"""How a run went over time: the points of its logs come in, numbers for equal steps of time go out. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from img2dataset.reporting.live.following import FollowedLog, Point

MOST_STEPS, LEAST_STEPS = 100, 2
# What is happening now is taken over so long at least: a program tells of itself every ten seconds.
RECENT_S = 30.0


def series_of(logs: Sequence[FollowedLog]) -> dict[str, list[float | None]]:
    """Rows a second, the share of successes, cores and memory in use, and bytes a second, over time.

    Returns:
        Lists of the same length; ``time`` has the end of each step, in Unix seconds. None where it is not
        known.
    """
    start = min(log.run.time for log in logs)
    end = max((log.points[-1].time for log in logs if log.points), default=start)
    if end <= start:
        return {name: [] for name in ("time", *_RATES, "success_share", "memory")}
    steps = min(MOST_STEPS, max(LEAST_STEPS, *(len(log.points) for log in logs)))
    edges = [start + (end - start) * step / steps for step in range(steps + 1)]
    rates = {name: _rates(logs, edges, sums) for name, sums in _RATES.items()}
    rows, successes = (_sums_at(logs, edges, _RATES[name]) for name in ("rows_per_second", "_successes"))
    shares = [
        _share(after, before, rows_after, rows_before)
        for before, after, rows_before, rows_after in zip(
            successes, successes[1:], rows, rows[1:], strict=False
        )
    ]
    found: dict[str, list[float | None]] = {"time": [round(edge, 3) for edge in edges[1:]]}
    found |= {name: values for name, values in rates.items() if not name.startswith("_")}
    return found | {"success_share": shares, "memory": [_memory_at(logs, edge) for edge in edges[1:]]}


def recent_rate(logs: Sequence[FollowedLog], name: str) -> float | None:
    """What one of the rates of ``series_of`` is of late."""
    ends = [log.points[-1].time for log in logs if log.points]
    if not ends:
        return None
    end = max(ends)
    start = max(min(log.run.time for log in logs), end - RECENT_S)
    return _rates(logs, [start, end], _RATES[name])[0] if end > start else None


Sums = Callable[[FollowedLog], "list[tuple[float, float]] | None"]


def _of_points(value: Callable[[Point], Any]) -> Sums:
    def sums(log: FollowedLog) -> list[tuple[float, float]] | None:
        known = [(point.time, value(point)) for point in log.points if value(point) is not None]
        return [(log.run.time, 0.0), *known] if known else None

    return sums


def _bytes_in(log: FollowedLog) -> list[tuple[float, float]] | None:
    # What a shard has brought is told when it ends: it is spread over the time since the last one did.
    return [(log.run.time, 0.0), *log.bytes_in] if log.facts.bytes_in else None


_RATES: dict[str, Sums] = {
    "rows_per_second": _of_points(lambda point: point.rows),
    "_successes": _of_points(lambda point: point.successes),
    "cores": _of_points(lambda point: point.cpu_s),
    "bytes_per_second": _bytes_in,
}


def _rates(logs: Sequence[FollowedLog], edges: Sequence[float], sums: Sums) -> list[float | None]:
    at = _sums_at(logs, edges, sums)
    return [
        None if a is None or b is None else round(max(0.0, b - a) / (end - start), 3)
        for a, b, start, end in zip(at, at[1:], edges, edges[1:], strict=False)
    ]


def _sums_at(logs: Sequence[FollowedLog], edges: Sequence[float], sums: Sums) -> list[float | None]:
    known = [values for log in logs if (values := sums(log)) is not None]
    if not known:
        return [None] * len(edges)
    return [sum(_at(values, edge) for values in known) for edge in edges]


def _at(values: list[tuple[float, float]], time: float) -> float:
    """The sum at a time, between those that are known; before the first and after the last, these."""
    index = bisect_right(values, time, key=lambda pair: pair[0])
    if index == 0:
        return values[0][1]
    if index == len(values):
        return values[-1][1]
    (before, low), (after, high) = values[index - 1], values[index]
    return low + (high - low) * (time - before) / (after - before)


def _share(
    after: float | None, before: float | None, rows: float | None, rows_before: float | None
) -> float | None:
    if None in (after, before, rows, rows_before):
        return None
    done = (rows or 0.0) - (rows_before or 0.0)
    share = ((after or 0.0) - (before or 0.0)) / done if done > 0 else None
    return None if share is None else round(min(1.0, max(0.0, share)), 4)


def _memory_at(logs: Sequence[FollowedLog], time: float) -> float | None:
    found = []
    for log in logs:
        index = bisect_right(log.points, time, key=lambda point: point.time)
        # What it has had when it was last heard of; a program that has ended has none.
        point = log.points[min(index, len(log.points) - 1)] if log.points else None
        is_over = index == len(log.points) and log.points and time > log.points[-1].time
        if point is not None and point.memory is not None and not is_over:
            found.append(point.memory)
    return float(sum(found)) if found else None

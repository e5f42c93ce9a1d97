"""The statistics file of one shard: is it one, and does it agree with itself and with the rows?

In: its bytes, later the rows. Out: findings. Called by ``checking``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from img2dataset.counted import counted
from img2dataset.formats.findings import Findings
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS

_COUNTS = ("count", "successes", FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE)
_TIMES = ("start_time", "end_time", "duration")


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the statistics file says."""

    count: int
    successes: int
    failed_to_download: int
    failed_to_resize: int
    status_dict: dict[str, int]


def read_statistics(contents: bytes, name: str, findings: Findings) -> Statistics | None:
    """The statistics, if the file holds any; what is wrong with them goes to ``findings``."""
    try:
        document = json.loads(contents)
    except (ValueError, RecursionError):
        findings.add(f"{name} is no JSON")
        return None
    if not isinstance(document, dict):
        findings.add(f"{name} is no statistics file")
        return None
    wrong = [field for field in _COUNTS if not _is_count(document.get(field))]
    wrong += [field for field in _TIMES if not _is_time(document.get(field))]
    messages: Any = document.get("status_dict")
    if not isinstance(messages, dict) or not all(map(_is_count, messages.values())):
        wrong.append("status_dict")
    if wrong:
        findings.add(f"{name} lacks or has a wrong", ", ".join(wrong))
        return None
    found = Statistics(**{field: document[field] for field in _COUNTS}, status_dict=messages)
    _check_sums(found, name, findings)
    return found


def _is_time(value: Any) -> bool:
    """JSON of Python may have Infinity and NaN."""
    return isinstance(value, (int, float)) and abs(value) < math.inf


def _check_sums(statistics: Statistics, name: str, findings: Findings) -> None:
    parts = statistics.successes + statistics.failed_to_download + statistics.failed_to_resize
    if statistics.count != parts:
        findings.add(f"{name} counts {counted(statistics.count, 'row')}, and {parts} by their outcome")
    if statistics.count == 0:
        findings.add(f"{name} counts no rows")
    named = sum(statistics.status_dict.values())
    if named != statistics.count:
        findings.add(f"{name} counts {counted(statistics.count, 'row')}, and {named} by their message")
    elif statistics.status_dict.get(SUCCESS, 0) != statistics.successes:
        findings.add(
            f"{name} counts {counted(statistics.successes, 'success', 'successes')}, and"
            f" {statistics.status_dict.get(SUCCESS, 0)} by their message"
        )


def compare_with_rows(
    statistics: Statistics, statuses: Counter[str], messages: Counter[str], findings: Findings
) -> None:
    """Hold the statistics against the rows of the metadata, counted by status and by message."""
    for what, said, found in (
        ("rows", statistics.count, statuses.total()),
        ("successes", statistics.successes, statuses[SUCCESS]),
        (FAILED_TO_DOWNLOAD, statistics.failed_to_download, statuses[FAILED_TO_DOWNLOAD]),
        (FAILED_TO_RESIZE, statistics.failed_to_resize, statuses[FAILED_TO_RESIZE]),
    ):
        if said != found:
            findings.add(f"{what}: {said} in the statistics, {found} in the metadata")
    said_messages = {message: count for message, count in statistics.status_dict.items() if count}
    if said_messages != dict(messages):
        findings.add("the statistics count other messages than the metadata")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

"""A folder that has no event log, such as one of 1.47.0, told by the statistics of its shards.

They are read once each, some at every look, so that a folder of many shards is shown at once and filled in.
Used by ``live_page``.
"""

from __future__ import annotations

import contextlib
import json
import math

from img2dataset.formats.dataset import finished_names, statistics_name
from img2dataset.reporting.events import RunEvent
from img2dataset.reporting.live.following import FollowedLog, Point
from img2dataset.reporting.surroundings import Surroundings
from img2dataset.storage.folders import names_in, side_by_side
from img2dataset.storage.locations import Location
from img2dataset.types import ShardReport, ShardStats

MOST_AT_A_LOOK, MOST_AT_ALL = 500, 20_000


class StatisticsFollower:
    """Reads the statistics of the shards of a folder as they come.

    Args:
        location: the output folder.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._read: dict[str, ShardStats | None] = {}

    def look(self) -> list[FollowedLog]:
        """One log that says what the statistics say; none where there are no statistics.

        Raises:
            Exception: the folder cannot be listed or read; every file system has its own errors.
        """
        there = finished_names(names_in(self._location, self._location.path))
        room = min(MOST_AT_A_LOOK, MOST_AT_ALL - len(self._read))
        new = [name for name in there if name not in self._read][: max(room, 0)]
        self._read.update(zip(new, side_by_side(self._location, self._statistics, new), strict=True))
        found = sorted(
            (stats for stats in self._read.values() if stats is not None), key=lambda stats: stats.end_time
        )
        return [_log_of(found)] if found else []

    def _statistics(self, name: str) -> ShardStats | None:
        path = f"{self._location.path}/{statistics_name(name)}"
        # What cannot be read is left out: this only shows, and `verify` says what is broken.
        with contextlib.suppress(ValueError, OverflowError, KeyError, TypeError, FileNotFoundError):
            document = json.loads(self._location.tried(lambda: self._location.file_system.cat_file(path)))
            count, successes, to_download, to_resize = (int(document[key]) for key in _COUNTS)
            began, ended = float(document["start_time"]), float(document["end_time"])
            if not (math.isfinite(began) and math.isfinite(ended)):
                return None
            messages = {str(text): int(rows) for text, rows in document.get("status_dict", {}).items()}
            return ShardStats(int(name), count, successes, to_download, to_resize, began, ended, messages)
        return None


_COUNTS = ("count", "successes", "failed_to_download", "failed_to_resize")


def _log_of(found: list[ShardStats]) -> FollowedLog:
    began = min(stats.start_time for stats in found)
    log = FollowedLog(RunEvent(began, "", "", "", "", Surroundings(version="", cores=0)), found[-1].end_time)
    for stats in found:
        log.facts.add_report(ShardReport(stats.shard_id, stats))
        log.points.append(Point(stats.end_time, log.facts.count, log.facts.successes))
        log.rows = {status: log.rows.get(status, 0) + rows for status, rows in stats.rows.items()}
    return log

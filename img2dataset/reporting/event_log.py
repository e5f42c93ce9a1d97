"""The event log of a run, in its output folder: events come in, lines of JSON go out.

``.img2dataset_runs/log/START-MEMBER.jsonl``, written by a thread of its own; a folder that cannot be written
to costs the log and never the run. A local file is added to. An object cannot be: what is logged is put in
parts of bounded size, of which only the last is put again. The longer a run lasts the rarer its lines are, so
that a log stays small. Called by the api; ``read_logs`` reads all logs of a folder.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.reporting.events import EndEvent, Event, RunEvent, RunLog, TickEvent, run_log_of_lines
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.process_use import Use, use_of_tree
from img2dataset.reporting.surroundings import Surroundings
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.putting import put_text
from img2dataset.types import ShardReport, Status

logger = logging.getLogger("img2dataset")

LOG_FOLDER = f"{RUNS_FOLDER}/log"
LOG_ENDING = ".jsonl"
TICK_S = 10.0
# A shard that has ended is told of so soon.
SHARD_TOLD_S = 1.0
# Lines of a log, for as long as a run lasts e times longer.
MOST_LINES = 3000
# Of a part of a log on a store, which is put again with each line.
PART_BYTES = 200_000
READS_AT_ONCE = 16
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


class EventLog:
    """Keeps the log of one program, from ``start`` to ``close``. Methods may be called from any thread.

    Args:
        location: the output folder.
        run: what it begins with.
        on_event: called with each event, on the log's own thread; for sinks.
        clock: Unix seconds.
    """

    def __init__(
        self,
        location: Location,
        run: RunEvent,
        on_event: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._location = location.for_this_thread()
        self._run = run
        self._on_event = on_event
        self._clock = clock
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(run.time))
        member = _NOT_IN_NAMES.sub("-", run.member)[:60]
        self._name = f"{began}-{run.run.rpartition('-')[2][:8]}-{member}"
        self._lock = threading.Lock()  # guards what follows
        self._rows: Counter[Status] = Counter()
        self._rows_of_list: int | None = None
        self._ended = Facts()
        self._has_ended = False
        self._end: EndEvent | None = None
        self._closing = threading.Event()
        self._woken = threading.Event()
        self._part, self._part_text = 0, ""
        # Lines that are not written yet.
        self._held, self._has_written = "", False
        self._thread = threading.Thread(target=self._keep, name="event log", daemon=True)

    @property
    def surroundings(self) -> Surroundings:
        """Those of the program."""
        return self._run.surroundings

    def start(self) -> None:
        """Begin to keep it."""
        self._thread.start()

    def rows(self, rows: Counter[Status]) -> None:
        """The rows done so far, by status."""
        with self._lock:
            self._rows = Counter(rows)

    def list_is_known(self, rows: int) -> None:
        """So many rows has the whole list."""
        with self._lock:
            self._rows_of_list = rows

    def shard(self, report: ShardReport) -> None:
        """A shard has ended."""
        with self._lock:
            self._ended.add_report(report)
            self._has_ended = True
        self._woken.set()

    def close(self, end: EndEvent, wait_s: float = TICK_S) -> None:
        """Put the last lines; a folder that does not answer is waited for so long."""
        with self._lock:
            self._end = end
        self._closing.set()
        self._woken.set()
        self._thread.join(wait_s)

    def _keep(self) -> None:
        self._tell(self._run)
        began = last = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            least = max(SHARD_TOLD_S, (now - began) / MOST_LINES)
            due = last + max(TICK_S, least)
            self._woken.wait(max(0.0, due - now))
            if self._closing.is_set() and not self._has_ended:
                break
            if self._woken.is_set():
                self._woken.clear()
                # Shards that end together are told of together.
                self._closing.wait(max(0.0, last + least - time.monotonic()))
            self._tell(self._tick())
            last = time.monotonic()
        with self._lock:
            end, has_ended = self._end, self._has_ended
        if has_ended:
            self._tell(self._tick())
        if end is not None:
            self._tell(end)

    def _tick(self) -> TickEvent:
        use = _use()
        with self._lock:
            facts = self._ended if self._has_ended else None
            self._ended, self._has_ended = Facts(), False
            rows: dict[str, int] = {str(status): count for status, count in self._rows.items()}
            rows_of_list = self._rows_of_list
        return TickEvent(self._clock(), rows, rows_of_list, use.cpu_s, use.memory, facts)

    def _tell(self, event: Event) -> None:
        try:
            self._held += json.dumps(event.to_document(), separators=(",", ":")) + "\n"
            if self._is_worth_a_file(event):
                held, self._held = self._held, ""
                self._put(held)
        except Exception as error:  # every file system has its own errors
            logger.debug("the event log cannot be kept: %s", error)
        self._on_event(event)

    def _is_worth_a_file(self, event: Event) -> bool:
        """A run that finds nothing to do, and ends well, leaves no log."""
        if isinstance(event, EndEvent):
            return bool(self._has_written or event.exit_status)
        self._has_written = self._has_written or isinstance(event, TickEvent)
        return self._has_written

    def _put(self, line: str) -> None:
        folder = f"{self._location.path}/{LOG_FOLDER}"
        if self._location.is_local:
            make_folder(self._location, folder)
            with open(f"{folder}/{self._name}{LOG_ENDING}", "a", encoding="utf-8") as file:
                file.write(line)
            return
        if not self._part_text and not self._part:
            make_folder(self._location, folder)
        if len(self._part_text) > PART_BYTES:
            self._part, self._part_text = self._part + 1, ""
        self._part_text += line
        put_text(self._location, f"{folder}/{self._name}.{self._part:04d}{LOG_ENDING}", self._part_text)


def _use() -> Use:
    try:
        return use_of_tree()
    except Exception as error:  # this machine may have no descriptors left
        logger.debug("what this program uses is not known: %s", error)
        return Use(None, None)


def read_logs(location: Location) -> list[RunLog]:
    """The logs of all programs that have made shards in a folder, the earliest first.

    Raises:
        Exception: the folder cannot be listed or read; every file system has its own errors.
    """
    folder = f"{location.path}/{LOG_FOLDER}"
    names = sorted(name for name in names_in(location, folder) if name.endswith(LOG_ENDING))

    def read(name: str) -> str:
        contents: bytes = location.tried(lambda: location.file_system.cat_file(f"{folder}/{name}"))
        return contents.decode(errors="replace")

    with ThreadPoolExecutor(1 if location.takes_one_at_a_time else READS_AT_ONCE) as threads:
        texts = list(threads.map(read, names))
    by_log: dict[str, list[str]] = {}
    for name, text in zip(names, texts, strict=True):
        by_log.setdefault(name.partition(".")[0], []).extend(text.splitlines())
    logs = [log for lines in by_log.values() if (log := run_log_of_lines(lines)) is not None]
    return sorted(logs, key=lambda log: log.run.time)

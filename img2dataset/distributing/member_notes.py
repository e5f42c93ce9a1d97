"""What each member of a run has done so far, kept in the output folder, where any machine can read it.

A member is a process that has shards made: the program itself, a rank, a task of a cluster. In: counts. Out:
one small file a member, ``.img2dataset_runs/members/NAME.json``, put every ten seconds and at the end;
``read_members`` reads all. A folder that cannot be written to costs the notes and never the run. Used by the
api and engines.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.notes import read_note, write_note
from img2dataset.types import ShardReport, Status

logger = logging.getLogger("img2dataset")

MEMBERS_FOLDER = f"{RUNS_FOLDER}/members"
NOTE_ENDING = ".json"
NOTE_INTERVAL_S = 10.0
# The name of the program that hands out the shards of a run, where members make them.
DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class MemberNote:
    """One member, as it was when it last said so. Times in Unix seconds, by the member's clock.

    ``name``: such as ``rank-00003``, the same when it is started again. ``run``: the run id of its program.
    ``rows_done``: rows by status, those of open shards too. ``shards_failed`` counts shards that could not be
    made. ``rows_of_list``: of the whole list, where they are known. ``notices``: what the user is to know.
    ``ended``: None while it is at work; a member that was killed has none either.
    """

    name: str
    run: str
    engine: str
    host: str
    process_id: int
    started: float
    heard: float
    ended: float | None = None
    shards_done: int = 0
    shards_failed: int = 0
    rows_done: dict[str, int] = field(default_factory=dict)
    rows_of_list: int | None = None
    notices: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """This as it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> MemberNote:
        """Read a note; fields of later versions are left out.

        Raises:
            ValueError: it is none.
        """
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("it is no object")
        known: dict[str, Any] = {name: document[name] for name in cls.__slots__ if name in document}
        try:
            return cls(**known)
        except TypeError as error:  # a field that has no default is missing
            raise ValueError(str(error)) from error


class MemberRecord:
    """Keeps the note of one member, from ``start`` to ``close``. Methods may be called from any thread.

    Args:
        location: the output folder.
        name: of the member.
        run: the run id of its program.
        engine: as ``--distributor`` names it.
        interval_s: seconds from one note to the next.
        on_note: called after each try to put a note, whether or not that failed.
    """

    def __init__(
        self,
        location: Location,
        name: str,
        run: str,
        engine: str,
        interval_s: float = NOTE_INTERVAL_S,
        on_note: Callable[[], None] = lambda: None,
    ) -> None:
        self._location = location
        self._interval_s = interval_s
        self._on_note = on_note
        now = time.time()
        self._first = MemberNote(name, run, engine, socket.gethostname(), os.getpid(), now, now)
        self._lock = threading.Lock()
        self._rows_done: Counter[Status] = Counter()
        self._shards_done = self._shards_failed = 0
        self._rows_of_list: int | None = None
        self._notices: list[str] = []
        self._closing = threading.Event()
        self._has_noted = False
        self._thread: threading.Thread | None = None

    def start(self, note_at_once: bool = True) -> None:
        """Begin to keep the note, or go on with it after ``close``.

        Args:
            note_at_once: else the first one is put after the interval.
        """
        self._closing.clear()
        self._thread = threading.Thread(
            target=self._keep, args=(note_at_once,), name="member note", daemon=True
        )
        self._thread.start()

    def rows(self, rows_done: Counter[Status]) -> None:
        """The rows done so far by this member, by status."""
        with self._lock:
            self._rows_done = Counter(rows_done)

    def list_is_known(self, rows: int) -> None:
        """So many rows has the whole list."""
        with self._lock:
            self._rows_of_list = rows

    def notice(self, text: str) -> None:
        """The user of the run is to know this."""
        with self._lock:
            self._notices.append(text)

    def shard(self, report: ShardReport) -> None:
        """A shard has ended."""
        with self._lock:
            self._shards_done += report.stats is not None
            self._shards_failed += report.error is not None

    def close(self, wait_s: float = NOTE_INTERVAL_S) -> None:
        """Put the last note, if there was a first; a folder that does not answer is waited for so long."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def note(self, ended: float | None = None) -> MemberNote:
        """The note as of now."""
        with self._lock:
            values = asdict(self._first) | {
                "heard": time.time(),
                "ended": ended,
                "shards_done": self._shards_done,
                "shards_failed": self._shards_failed,
                "rows_of_list": self._rows_of_list,
                "notices": list(self._notices),
                "rows_done": {str(status): rows for status, rows in self._rows_done.items()},
            }
        return MemberNote(**values)

    def _keep(self, note_at_once: bool) -> None:
        if note_at_once:
            self._put(None)
        while not self._closing.wait(self._interval_s):
            self._put(None)
        if self._has_noted:
            self._put(time.time())

    def _put(self, ended: float | None) -> None:
        self._has_noted = True
        note = self.note(ended)
        try:
            make_folder(self._location, f"{self._location.path}/{MEMBERS_FOLDER}")
            write_note(self._location, f"{MEMBERS_FOLDER}/{note.name}{NOTE_ENDING}", note.to_text())
        except Exception as error:  # every file system has its own errors
            logger.debug("the note of member %s cannot be kept: %s", note.name, error)
        self._on_note()


def read_members(location: Location) -> list[MemberNote]:
    """The notes of all members that have been at work in a folder, by name; unreadable ones are left out.

    Raises:
        Exception: the folder cannot be listed or read; every file system has its own errors.
    """
    found = []
    for name in sorted(names_in(location, f"{location.path}/{MEMBERS_FOLDER}")):
        if name.endswith(NOTE_ENDING):
            text = read_note(location, f"{MEMBERS_FOLDER}/{name}")
            with contextlib.suppress(ValueError):
                found.append(MemberNote.from_text(text or ""))
    return found

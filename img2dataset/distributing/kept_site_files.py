"""What sites' files (robots.txt, tdmrep.json, licences) said, shared by a run's workers and kept for later.

In: the output folder, and the name of a member. Out: the file that its workers inherit
(``fetching.consent.shared_files``), with what earlier runs have learned in it; and
``.img2dataset_runs/sites/MEMBER.jsonl.gz``, from which the next run goes on. Of each file of a site the
program keeps where it was, when it was fetched, and its text or that there is none; what could not be had is
asked for again. A folder that cannot be read or written costs requests, and never the run. Used by ``local``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

from img2dataset.distributing.site_file_lines import SiteFileLines, lines_of, mark_of, packed_lines
from img2dataset.errors import one_line
from img2dataset.fetching.consent import wanted_files
from img2dataset.fetching.consent.answers import SiteAnswer, of_entry
from img2dataset.fetching.consent.shared_files import VARIABLE, SharedFiles, make_shared_file
from img2dataset.fetching.consent.site_files import (
    CLOCK_DIFFERENCE_S,
    KEPT_S,
    path_of_file,
    refusal_of,
)
from img2dataset.fetching.settings import FetchSettings
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.folders import names_in, remove, side_by_side
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.putting import put_bytes

logger = logging.getLogger("img2dataset")

SITES_FOLDER = f"{RUNS_FOLDER}/sites"
ENDING = ".jsonl.gz"
# Of one member's file, and of all that a run begins with; the workers' file has room for as much again.
MOST_BYTES = 16 << 20
MOST_ENTRIES = 98_304
# Files of other members that are read; each has mostly its own sites.
MOST_OTHERS = 64
# From one file to the next, and so many times as long as it takes to write it.
INTERVAL_S = 30.0
INTERVALS_A_WRITE = 50
LONGEST_CLOSE_S = 10.0


class KeptSiteFiles:
    """The sites' files of one member, for all passes of a run; ``begin`` and ``close`` in turns.

    Args:
        location: the output folder.
        member: its name (``member_notes``).
        settings: say which files are wanted, and as whom they are asked for.
        clock: Unix seconds.
    """

    def __init__(
        self,
        location: Location,
        member: str,
        settings: FetchSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._location = location.for_this_thread()
        self._name = member + ENDING
        self._files = {file.path: file for file in wanted_files(settings)}
        self._user_agent = mark_of(settings.user_agent_header)
        self._clock = clock
        # Entries: of this member, the newest last, and of the others.
        self._own: deque[bytes] = deque()
        self._own_bytes = 0
        self._of_others: list[bytes] = []
        self._is_read = False
        self._file: BinaryIO | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> dict[str, int]:
        """The descriptor of the file for the workers of a pass, by the variable that tells them.

        Nothing if no file is wanted, or can be made.
        """
        file = make_shared_file() if self._files else None
        if file is None:
            return {}
        if not self._is_read:
            self._is_read = True
            self._read_folder()
        shared = SharedFiles(file.fileno())
        # The newest last: it is what stays if there are too many.
        for entry in [*self._of_others, *self._own][-MOST_ENTRIES:]:
            if (known := of_entry(entry)) is not None:
                shared.put(known[0], entry)
        shared.catch_up()
        self._file = file
        self._closing.clear()
        self._thread = threading.Thread(target=self._keep, args=(shared,), name="site files", daemon=True)
        self._thread.start()
        return {VARIABLE: file.fileno()}

    def close(self, wait_s: float = LONGEST_CLOSE_S) -> None:
        """Keep what has come; a folder that does not answer is waited for so long."""
        if self._file is None or self._thread is None:
            return
        self._closing.set()
        self._thread.join(wait_s)
        if not self._thread.is_alive():
            self._file.close()
        self._file = None

    def _keep(self, shared: SharedFiles) -> None:
        interval_s = INTERVAL_S
        is_last = has_news = False
        while not is_last:
            is_last = self._closing.wait(interval_s)
            began = time.monotonic()
            try:
                has_news = self._take(shared.catch_up()) or has_news
                if has_news:
                    self._put()
                    has_news = False
            except Exception as error:  # every file system has its own errors
                logger.debug("the files of sites cannot be kept: %s", error)
            interval_s = max(INTERVAL_S, INTERVALS_A_WRITE * (time.monotonic() - began))

    def _take(self, entries: list[bytes]) -> bool:
        """Whether any of these is kept: not what could not be had, nor what is too old."""
        known = ((entry, of_entry(entry)) for entry in entries)
        kept = [entry for entry, read in known if read is not None and self._is_kept(*read)]
        self._add(kept)
        return bool(kept)

    def _add(self, entries: list[bytes]) -> None:
        self._own += entries
        self._own_bytes += sum(map(len, entries))
        while self._own_bytes > MOST_BYTES or len(self._own) > MOST_ENTRIES:
            self._own_bytes -= len(self._own.popleft())

    def _is_kept(self, file_uri: str, answer: SiteAnswer) -> bool:
        if not -CLOCK_DIFFERENCE_S <= self._clock() - answer.fetched < KEPT_S:
            return False
        file = self._files.get(path_of_file(file_uri))
        # A licence may be anywhere.
        return answer.body is not None if file is None else refusal_of(file, answer) is None

    def _put(self) -> None:
        folder = f"{self._location.path}/{SITES_FOLDER}"
        make_folder(self._location, folder)
        # The newest first: what is over the bound is the oldest.
        known = (of_entry(entry) for entry in reversed(self._own))
        fresh = (each for each in known if each is not None and self._is_kept(*each))
        lines = packed_lines(self._user_agent, fresh, MOST_BYTES)
        put_bytes(self._location, f"{folder}/{self._name}", lines)

    def _read_folder(self) -> None:
        folder = f"{self._location.path}/{SITES_FOLDER}"
        try:
            names = [name for name in sorted(names_in(self._location, folder)) if name.endswith(ENDING)]
        except Exception as error:  # every file system has its own errors
            logger.debug("what is kept of sites cannot be listed: %s", error)
            return
        others = [name for name in names if name != self._name][:MOST_OTHERS]
        own = [name for name in names if name == self._name]
        paths = [f"{folder}/{name}" for name in own + others]
        size = 0
        for path, lines in zip(paths, side_by_side(self._location, self._read, paths), strict=True):
            is_own = path.endswith(f"/{self._name}")
            if lines is None:
                continue
            if not is_own and self._clock() - lines.newest >= KEPT_S:
                self._remove(path)
            elif lines.user_agent == self._user_agent:
                size += sum(map(len, lines.entries))
                if is_own:
                    self._add(lines.entries[::-1])
                elif size <= MOST_BYTES:
                    self._of_others += lines.entries[::-1]

    def _read(self, path: str) -> SiteFileLines | None:
        try:
            contents = self._location.tried(
                lambda: self._location.file_system.cat_file(path, start=0, end=MOST_BYTES + 1)
            )
            return lines_of(contents, self._is_kept)
        except Exception as error:  # of the file system, or it is broken
            logger.warning(
                "%s cannot be read (%s): what it says of sites is asked for again", path, one_line(error)
            )
            return None

    def _remove(self, path: str) -> None:
        """Remove what a member of an earlier run has left, such as a task of Spark, of no use any more."""
        try:
            remove(self._location, path)
        except Exception as error:  # every file system has its own errors
            logger.debug("%s cannot be removed: %s", path, error)

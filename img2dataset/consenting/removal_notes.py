"""What was asked again and taken out of a folder, kept in it; the summary tells of it.

``.img2dataset_runs/removals/TIME-ID.json``, one file for each command that was to remove rows.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from img2dataset.consenting.crawlers import Crawler
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.notes import read_note, write_note
from img2dataset.storage.runs import new_run_id

REMOVALS_FOLDER = f"{RUNS_FOLDER}/removals"


@dataclass(frozen=True, slots=True)
class RemovalNote:
    """One removal. ``day``: on which it ended (ISO 8601, UTC); the rest are numbers of rows.

    ``reserved`` may be more than ``removed``: a shard stays as it is where it was not asked to its end.
    """

    day: str
    crawler: Crawler
    asked: int
    reserved: int
    not_known: int
    removed: int


class KeptRemoval:
    """The note of one command in an output folder; put again as shards are rewritten, it outlives a kill."""

    def __init__(self, location: Location) -> None:
        self._location = location
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._name = f"{REMOVALS_FOLDER}/{began}-{new_run_id()}.json"

    def put(self, note: RemovalNote) -> None:
        """Put the note, in place of the one before.

        Raises:
            Exception: it cannot be written; every file system has its own errors.
        """
        make_folder(self._location, f"{self._location.path}/{REMOVALS_FOLDER}")
        write_note(self._location, self._name, json.dumps(asdict(note)))


def removals_of(location: Location) -> list[RemovalNote]:
    """Those of a folder, the earliest first; what is no note is passed over.

    Raises:
        Exception: they cannot be read; every file system has its own errors.
    """
    folder = f"{location.path}/{REMOVALS_FOLDER}"
    names = sorted(name for name in names_in(location, folder) if name.endswith(".json"))
    texts = (read_note(location, f"{REMOVALS_FOLDER}/{name}") for name in names)
    return [note for text in texts if text is not None and (note := _note(text)) is not None]


def _note(text: str) -> RemovalNote | None:
    try:
        fields = json.loads(text)
        asked = fields["crawler"]
        headers, files = (tuple(map(str, asked[name])) for name in ("headers", "files"))
        added = tuple(map(str, asked.get("added", ())))
        crawler = Crawler(str(asked["user_agent"]), headers, files, bool(asked["heeds_pictures"]), added)
        numbers = (int(fields[name]) for name in ("asked", "reserved", "not_known", "removed"))
        return RemovalNote(str(fields["day"]), crawler, *numbers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None

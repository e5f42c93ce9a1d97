"""What lies in an output folder of a run that is at work, finished, stopped or dead → how far it is.

In: any fsspec path. Out: a ``Status``. The folder is listed once, and of each member one small note is read;
statistics of shards are not, so that a folder of a million shards takes seconds.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from img2dataset.distributing.member_notes import DRIVER, MEMBERS_FOLDER, NOTE_ENDING, MemberNote
from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import finished_shard
from img2dataset.manifest import MANIFEST_NAME, Manifest, RunRecord
from img2dataset.shown_names import shown_name
from img2dataset.storage.folders import names_in
from img2dataset.storage.leases import leased_names
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.notes import read_note
from img2dataset.working.unfinished import UNFINISHED_FOLDER, unfinished_shards

# Members put a note every ten seconds: one that has missed several is not at work any more, or cannot say so.
SILENT_S = 60.0
# Clocks of machines that are kept by a time server agree better than that.
CLOCKS_AGREE_S = 20.0
READS_AT_ONCE = 16
AT_WORK, SILENT, ENDED = "at work", "silent", "ended"
# When a file was changed, as the file systems of fsspec call it.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member. ``silent_s``: seconds since it was last heard of, 0 or more.

    ``state``: ``at work``, ``silent`` or ``ended``. ``clock_off_s``: how far its clock is ahead of that of
    the folder, or of this machine, where that can be told.
    """

    name: str
    engine: str
    host: str
    process_id: int
    state: str
    silent_s: float
    started: float
    shards_done: int
    shards_failed: int
    rows: dict[str, int]
    rows_per_second: float
    clock_off_s: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """A run, as its folder tells it.

    ``shards_done`` counts the folder's; ``shards_open`` those that ranks have a lease of, None where no rank
    is at work; ``shards_kept`` those that a stop has left unfinished. ``shards_failed`` and ``rows`` are what
    members have noted since they were last started. ``rows_of_list``, ``rows_done`` (by shards that are done)
    and ``seconds_left`` are None where they are not known. ``complete``: the last run made every shard.
    """

    output_folder: str
    url_list: str | None
    complete: bool
    shards_done: int
    shards_open: int | None
    shards_kept: int
    shards_failed: int
    rows: dict[str, int]
    rows_per_second: float
    rows_of_list: int | None
    rows_done: int | None
    seconds_left: float | None
    members: list[MemberStatus] = field(default_factory=list)


def folder_status(path: str, now: Callable[[], float] = time.time) -> Status:
    """How far the run is that writes, or has written, to a folder.

    Args:
        path: of the output folder, on any fsspec file system.
        now: Unix seconds, by the clock of this machine.

    Raises:
        OutputError: there is no such folder, it holds nothing of a run, or it cannot be read.
        MissingDependency: its file system's package is not installed.
    """
    location = locate(path, "OUTPUT", OutputError)
    try:
        return _status(location, now())
    except OutputError:
        raise
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"{path!r} cannot be read: {one_line(error)}") from error


def _status(location: Location, now: float) -> Status:
    names = names_in(location, location.path)
    text = read_note(location, MANIFEST_NAME) if MANIFEST_NAME in names else None
    done = [shard for name in names if (shard := finished_shard(name)) is not None]
    notes = _notes(location)
    if text is None and not done and not notes:
        raise OutputError(f"{location.name!r} has nothing of a run in it; name the output folder of one")
    record = _last_run(text)
    members = [_member(note, changed, now) for note, changed in notes]
    at_work = [member for member in members if member.state == AT_WORK]
    rate = sum(member.rows_per_second for member in _who_make_shards(at_work))
    rows_of_list = _rows_of_list(record, [note for note, _ in notes])
    rows_done = _rows_done(record, done, rows_of_list)
    left = None if rows_of_list is None or rows_done is None else rows_of_list - rows_done
    return Status(
        output_folder=shown_name(location.name),
        url_list=record.url_list if record is not None else None,
        complete=record is not None and record.ended is not None,
        shards_done=len(done),
        shards_open=len(leased_names(location)) if any(one.engine == "ranks" for one in at_work) else None,
        shards_kept=len(unfinished_shards(location)) if UNFINISHED_FOLDER in names else 0,
        shards_failed=sum(member.shards_failed for member in members),
        rows=dict(sum((Counter(member.rows) for member in _who_make_shards(members)), Counter[str]())),
        rows_per_second=rate,
        rows_of_list=rows_of_list,
        rows_done=rows_done,
        seconds_left=left / rate if left is not None and rate else None,
        members=members,
    )


def _last_run(text: str | None) -> RunRecord | None:
    """The run that the folder's manifest has last; None where it has none that this version understands."""
    if text is None:
        return None
    try:
        runs = Manifest.from_text(text).runs
    except ValueError:
        return None
    return runs[-1] if runs else None


def _who_make_shards(members: list[MemberStatus]) -> list[MemberStatus]:
    """The members but the driver of a cluster, which notes the rows of the others once more."""
    engines = {member.engine for member in members if member.name != DRIVER}
    return [member for member in members if member.name != DRIVER or member.engine not in engines]


def _rows_of_list(record: RunRecord | None, notes: list[MemberNote]) -> int | None:
    """From the manifest, once the list has been read to its end; before that, from members who know it."""
    rows = [file.get("rows") for file in record.files] if record is not None else []
    known = [count for count in rows if isinstance(count, int)]
    if rows and len(known) == len(rows):
        return sum(known)
    latest = max(notes, key=lambda note: note.started, default=None)
    return latest.rows_of_list if latest is not None else None


def _rows_done(record: RunRecord | None, done: list[int], rows_of_list: int | None) -> int | None:
    """Rows of the last run's shards that are done, as if each were full: short ones are few."""
    per_shard = record.options.get("number_sample_per_shard") if record is not None else None
    if record is None or not isinstance(per_shard, int):
        return None
    rows = per_shard * sum(1 for shard in done if shard >= record.first_shard_id)
    if record.ended is not None and rows_of_list is not None:
        return rows_of_list
    return rows if rows_of_list is None else min(rows, rows_of_list)


def _notes(location: Location) -> list[tuple[MemberNote, float | None]]:
    """Every member's note, and when its file was changed, by the clock of the folder."""
    folder = f"{location.path}/{MEMBERS_FOLDER}"
    location.file_system.invalidate_cache()
    try:
        entries = location.tried(lambda: location.file_system.ls(folder, detail=True))
    except FileNotFoundError:
        return []
    entries = sorted(
        (entry for entry in entries if entry["name"].endswith(NOTE_ENDING)), key=lambda entry: entry["name"]
    )

    def read(entry: dict[str, Any]) -> tuple[MemberNote, float | None] | None:
        # One may be put anew, or not be a note at all.
        with contextlib.suppress(FileNotFoundError, ValueError, RecursionError):
            contents = location.tried(lambda: location.file_system.cat_file(entry["name"]))
            return MemberNote.from_text(contents.decode()), _time_of(entry)
        return None

    with ThreadPoolExecutor(1 if location.takes_one_at_a_time else READS_AT_ONCE) as threads:
        return [found for found in threads.map(read, entries) if found is not None]


def _time_of(entry: dict[str, Any]) -> float | None:
    value = next((entry[name] for name in _TIMES if entry.get(name)), None)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, (int, float)) else None


def _member(note: MemberNote, changed: float | None, now: float) -> MemberStatus:
    # The folder's own clock, where it has one, tells how old a note is, whatever the member's says.
    heard = note.heard
    clock_off_s = None
    if changed is not None and abs(note.heard - changed) > CLOCKS_AGREE_S:
        heard, clock_off_s = changed, note.heard - changed
    elif note.heard - now > CLOCKS_AGREE_S:
        clock_off_s = note.heard - now
    silent_s = max(0.0, now - heard)
    state = ENDED if note.ended is not None else AT_WORK if silent_s <= SILENT_S else SILENT
    seconds = note.heard - note.started
    rows = {str(status): int(count) for status, count in note.rows_done.items()}
    return MemberStatus(
        name=note.name,
        engine=note.engine,
        host=note.host,
        process_id=note.process_id,
        state=state,
        silent_s=silent_s,
        started=note.started,
        shards_done=note.shards_done,
        shards_failed=note.shards_failed,
        rows=rows,
        rows_per_second=sum(rows.values()) / seconds if seconds > 0 else 0.0,
        clock_off_s=clock_off_s,
    )

"""Who is at work in an output folder now, on whatever machine, for runs that must be alone in it.

In: the notes that members keep in the folder (``member_notes``). Out: those that are still put. Called by
``preparing``. No times of two machines are compared: a note that changes while one looks is of a member that
lives.
"""

from __future__ import annotations

import logging
import time

from img2dataset.counted import counted
from img2dataset.distributing.member_notes import NOTE_INTERVAL_S, MemberNote, read_members
from img2dataset.storage.locations import Location
from img2dataset.storage.runs import is_of_this_process, other_run_lives, run_is_dead

logger = logging.getLogger("img2dataset")

# Members put a note every ten seconds; one put may take a while.
WATCHED_S = 2 * NOTE_INTERVAL_S
_LOOK_S = 1.0


def members_at_work(location: Location, watched_s: float = WATCHED_S) -> list[MemberNote]:
    """The notes of members of other runs that are at work.

    Returns at once where no member has left a note without an end, or all that have are known to be dead or
    alive, being processes of this machine. Else the notes are watched, for ``watched_s`` seconds at most.

    Raises:
        Exception: the folder cannot be listed or read; every file system has its own errors.
    """
    open_notes = _open_notes(location)
    alive = [note for note in open_notes if other_run_lives(note.run)]
    if alive or not open_notes:
        return alive
    logger.warning(
        "output_folder %s: %s has not said that it has ended (%s on %s); it is watched for %.0f s",
        location.name,
        counted(len(open_notes), "member"),
        open_notes[0].name,
        open_notes[0].host,
        watched_s,
    )
    before = {note.name: note.heard for note in open_notes}
    until = time.monotonic() + watched_s
    while not alive and time.monotonic() < until:
        time.sleep(min(_LOOK_S, watched_s))
        alive = [note for note in _open_notes(location) if note.heard != before.get(note.name)]
    return alive


def _open_notes(location: Location) -> list[MemberNote]:
    """The notes of others that may be at work."""
    return [
        note
        for note in read_members(location)
        if note.ended is None and not run_is_dead(note.run) and not is_of_this_process(note.run)
    ]

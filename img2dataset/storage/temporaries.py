"""The temporary files of runs: whose they are, and their removal.

In: an output folder. Out: a new folder for temporary files; and the output folder without the leftovers of
one run, or of all dead ones. Called by the commit and by ``OutputFolder``. No removal raises: leftovers that
stay cost nothing but their room.

Two places hold temporary files: ``<output folder>/.tmp/<run id>/`` and, for an output folder that is
not local, ``$TMPDIR/img2dataset-<run id>-<shard>-<random>/``.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile

from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location
from img2dataset.storage.runs import run_is_dead

TEMPORARY_FOLDER = ".tmp"
# Left in the output folder by 1.47.0 when it was interrupted.
FORMER_TEMPORARY_FOLDER = "_tmp"
SPOOL_PREFIX = "img2dataset-"


def run_folder(location: Location, run_id: str) -> str:
    """Where the temporary files of a run are in the output folder."""
    return f"{location.path}/{TEMPORARY_FOLDER}/{run_id}"


def make_temporary_folder(location: Location, run_id: str, name: str) -> str:
    """A new folder on the local disk for one attempt at something: its files are written there.

    In the output folder if that is local, so that a rename is enough; else a spool, where ``TMPDIR`` says.

    Raises:
        OSError: it cannot be made.
    """
    if not location.is_local:
        return tempfile.mkdtemp(prefix=f"{SPOOL_PREFIX}{run_id}-{name}-")
    parent = run_folder(location, run_id)
    os.makedirs(parent, exist_ok=True)
    return tempfile.mkdtemp(prefix=f"{name}-", dir=parent)


def runs_with_temporaries(location: Location) -> set[str]:
    """The ids of the runs that have temporary files, those of other output folders' spools included."""
    if not location.is_local:
        return {_run_of_spool(spool) for spool in _spools()}
    try:
        return set(os.listdir(os.path.join(location.path, TEMPORARY_FOLDER)))
    except OSError:
        return set()


def remove_dead_runs(location: Location) -> None:
    """Remove the temporary files of this host's dead runs; those of live and unknown ones stay."""
    for run_id in runs_with_temporaries(location):
        if run_is_dead(run_id):
            remove_run(location, run_id)


def remove_run(location: Location, run_id: str) -> None:
    """Remove the temporary files of one run."""
    for spool in _spools():
        if _run_of_spool(spool) == run_id:
            shutil.rmtree(spool, ignore_errors=True)
    if location.is_local:
        shutil.rmtree(run_folder(location, run_id), ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty: another run's files are in it
            os.rmdir(os.path.join(location.path, TEMPORARY_FOLDER))
    elif location.shows_partial_files:
        with contextlib.suppress(Exception):
            remove(location, run_folder(location, run_id))


def _spools() -> list[str]:
    return glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{SPOOL_PREFIX}*-*-*-*-*"))


def _run_of_spool(spool: str) -> str:
    return os.path.basename(spool).removeprefix(SPOOL_PREFIX).rsplit("-", 2)[0]

"""The temporary files of runs: whose they are, and their removal.

In: an output folder. Out: a new folder for temporary files; and the output folder without the leftovers of
one run, or of all dead ones. Called by the commit and by ``OutputFolder``. No removal raises: leftovers that
stay cost nothing but their room.

Two places hold temporary files: ``<output folder>/.tmp/<run id>/`` and, for an output folder that is
not local, ``<spool folder>/img2dataset-<run id>-<shard>-<random>/``; the spool folder is ``$TMPDIR`` where
nobody has named one.
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


def make_temporary_folder(location: Location, run_id: str, name: str, spool: str | None = None) -> str:
    """A new folder on the local disk for one attempt at something: its files are written there.

    In the output folder if that is local, so that a rename is enough; else in ``spool``, or where ``TMPDIR``
    says.

    Raises:
        OSError: it cannot be made.
    """
    if not location.is_local:
        if spool is not None:
            os.makedirs(spool, exist_ok=True)  # on another machine of a run it may not be there yet
        return tempfile.mkdtemp(prefix=f"{SPOOL_PREFIX}{run_id}-{name}-", dir=spool)
    parent = run_folder(location, run_id)
    os.makedirs(parent, exist_ok=True)
    return tempfile.mkdtemp(prefix=f"{name}-", dir=parent)


def attempts_under_way(location: Location) -> set[str] | None:
    """The names for which ``make_temporary_folder`` has made folders that are still there; None if not local.

    Those of runs that have died are among them until another run removes them.
    """
    if not location.is_local:
        return None
    found = glob.glob(f"{glob.escape(location.path)}/{TEMPORARY_FOLDER}/*/*-*")
    return {os.path.basename(path).rpartition("-")[0] for path in found}


def runs_with_temporaries(location: Location, spool: str | None = None) -> set[str]:
    """The ids of the runs that have temporary files, those of other output folders' spools included."""
    if not location.is_local:
        return {_run_of_spool(folder) for folder in _spools(spool)}
    try:
        return set(os.listdir(os.path.join(location.path, TEMPORARY_FOLDER)))
    except OSError:
        return set()


def remove_dead_runs(location: Location, spool: str | None = None) -> None:
    """Remove the temporary files of this host's dead runs; those of live and unknown ones stay."""
    for run_id in runs_with_temporaries(location, spool):
        if run_is_dead(run_id):
            remove_run(location, run_id, spool)


def remove_run(location: Location, run_id: str, spool: str | None = None) -> None:
    """Remove the temporary files of one run."""
    for folder in _spools(spool):
        if _run_of_spool(folder) == run_id:
            shutil.rmtree(folder, ignore_errors=True)
    if location.is_local:
        shutil.rmtree(run_folder(location, run_id), ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty: another run's files are in it
            os.rmdir(os.path.join(location.path, TEMPORARY_FOLDER))
    elif location.shows_partial_files:
        with contextlib.suppress(Exception):
            remove(location, run_folder(location, run_id))


def _spools(spool: str | None) -> list[str]:
    return glob.glob(os.path.join(glob.escape(spool or tempfile.gettempdir()), f"{SPOOL_PREFIX}*-*-*-*-*"))


def _run_of_spool(folder: str) -> str:
    return os.path.basename(folder).removeprefix(SPOOL_PREFIX).rsplit("-", 2)[0]

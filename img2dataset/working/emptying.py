"""Emptying an output folder, for a run that starts over (``--incremental_mode overwrite``).

In: the folder and what is in it. Out: an empty folder, or one line that says why not. Called by
``OutputFolder``.

Everything is removed, as 1.47.0 does, but only from a folder that a run has written to: a mistyped
``output_folder`` costs an error and not someone's files. Never from the home or the current folder, one above
them, or one that holds the URL list, nor while another run of this host writes there; members on other
machines are looked for before (``distributing.live_members``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import REPLACEMENTS_FOLDER, finished_shard
from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location
from img2dataset.storage.runs import other_run_lives, process_of
from img2dataset.storage.temporaries import (
    FORMER_TEMPORARY_FOLDER,
    SPOOL_PREFIX,
    TEMPORARY_FOLDER,
    runs_with_temporaries,
)
from img2dataset.working.unfinished import UNFINISHED_FOLDER


def empty_folder(location: Location, names: list[str], has_shards: bool, keep: Iterable[str]) -> None:
    """Remove everything in an output folder.

    Args:
        location: of the folder.
        names: of all that is directly in it.
        has_shards: whether some of them are of shards.
        keep: paths that must not be removed: the run's URL lists.

    Raises:
        OutputError: it is a folder that no run empties, or something in it cannot be removed.
    """
    if not names:
        return
    if location.is_local:
        _refuse_to_empty_a_precious_folder(location, keep)
        _refuse_to_empty_under_a_live_run(location)
    if not has_shards and not any(map(_is_of_a_run, names)):
        raise OutputError(
            f"output_folder {location.name!r} holds {min(names)!r} and nothing made by img2dataset: "
            "--incremental_mode overwrite does not empty it; choose another folder or empty it yourself"
        )
    for name in sorted(names, key=_turn_of):
        _remove(location, name)


def _remove(location: Location, name: str) -> None:
    try:
        remove(location, f"{location.path}/{name}")
    except Exception as error:  # every file system has its own errors
        raise OutputError(
            f"output_folder {location.name!r}: {name} cannot be removed: {one_line(error)}"
        ) from error


def _turn_of(name: str) -> tuple[bool, bool, str]:
    """Statistics first: should this be interrupted, what is left counts as not done.

    Before them, replacements that were cut short, which would put a shard back, and unfinished shards, whose
    rows would be taken over by a run that no longer finds with which options they were made.
    """
    return name not in (REPLACEMENTS_FOLDER, UNFINISHED_FOLDER), finished_shard(name) is None, name


def _refuse_to_empty_a_precious_folder(location: Location, keep: Iterable[str]) -> None:
    folder = Path(location.path).resolve()
    kept_files = (Path(path.removeprefix("file://")).resolve() for path in keep if _is_local(path))
    for precious in (Path.home().resolve(), Path.cwd(), *kept_files):
        if folder == precious or folder in precious.parents:
            raise OutputError(
                f"output_folder {location.name!r} is, or holds, {str(precious)!r}: --incremental_mode "
                "overwrite does not empty it; choose a folder of its own"
            )


def _refuse_to_empty_under_a_live_run(location: Location) -> None:
    for run_id in runs_with_temporaries(location):
        if other_run_lives(run_id):
            raise OutputError(
                f"output_folder {location.name!r} is being written to by process {process_of(run_id)}: "
                "wait for it, end it, or choose another folder"
            )


def _is_local(path: str) -> bool:
    return "://" not in path or path.startswith("file://")


def _is_of_a_run(name: str) -> bool:
    return name in (TEMPORARY_FOLDER, FORMER_TEMPORARY_FOLDER) or name.startswith(
        (".img2dataset", SPOOL_PREFIX)
    )

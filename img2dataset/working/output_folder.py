"""The output folder as a whole: what a run asks of it before, between and after its shards.

In: any fsspec path. Out: whether it can be written to, which shards are done, and a folder emptied or
rid of dead runs' leftovers. Called by the api, ``preparing`` and ``run_in_folder``.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from img2dataset.errors import OutputError, one_line
from img2dataset.formats import data_endings
from img2dataset.formats.dataset import (
    REPLACEMENTS_FOLDER,
    STATISTICS_ENDING,
    finished_shard,
    metadata_name,
    shard_name,
    shard_of,
    statistics_name,
)
from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.folders import names_in, remove, side_by_side
from img2dataset.storage.notes import create_note, read_note, write_note
from img2dataset.storage.runs import other_run_lives, process_of
from img2dataset.storage.temporaries import (
    TEMPORARY_FOLDER,
    remove_dead_runs,
    remove_run,
    run_folder,
    runs_with_temporaries,
)
from img2dataset.working.completing import finish_all_replacements, replacement_lock
from img2dataset.working.emptying import empty_folder
from img2dataset.working.unfinished import unfinished_shards

SHARED_MARK = "shares_shards"
# A store lists a thousand names a request, and answers some requests at once.
NAMES_LISTED_WHILE_ONE_IS_ASKED_FOR = 64


class OutputFolder:
    """The folder that a run's shards go to.

    Args:
        settings: name the folder and the run.
        is_stopped: whether the run is to stop: then a store that is away is not waited for.

    Raises:
        MissingDependency: its file system's package is not installed.
        OutputError: its file system is unknown or cannot be set up.
    """

    def __init__(self, settings: WriteSettings, is_stopped: Callable[[], bool] = lambda: False) -> None:
        self.path = settings.output_folder
        self._run_id = settings.run_id
        self._spool = settings.spool_folder
        self.location = self._location = settings.locate_patiently(is_stopped)
        self._file_system = self._location.file_system
        self._keep: list[str] = []
        self._digits = settings.shard_digits
        self._statistics_names: dict[int, str] = {}
        self._names_listed = 0
        self._data_endings = data_endings(settings.output_format)

    def prepare(self, keep: Iterable[str] = ()) -> None:
        """Create the folder, and make sure that it, and the spool, can be written to by writing to them.

        Args:
            keep: paths that ``empty`` must not remove: the run's URL lists.

        Raises:
            OutputError: it cannot; the message names the folder and the reason.
        """
        self._keep = list(keep)
        self._prepare_spool()
        probe = f"{self._location.path}/.img2dataset-{secrets.token_hex(8)}"
        try:
            if not self._location.has_buckets:
                self._file_system.makedirs(self._location.path, exist_ok=True)
            # The first that is asked of it, and perhaps at an address that is wrong: not with all patience.
            asked = replace(self._location, patience=None)
            asked.tried(lambda: self._file_system.pipe_file(probe, b"can this folder be written to?"))
            remove(asked, probe)
        except Exception as error:  # every file system has its own errors
            if self._location.is_local and os.path.isfile(self._location.path):
                raise OutputError(
                    f"output_folder {self.path!r} is a file; name a folder, which is made if it is not there"
                ) from error
            raise OutputError(
                f"output_folder {self.path!r} cannot be written to: {one_line(error)}; "
                "choose another folder or change its permissions"
            ) from error

    def _prepare_spool(self) -> None:
        if self._spool is None or self._location.is_local:
            return
        try:
            os.makedirs(self._spool, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._spool):
                pass
        except OSError as error:
            raise OutputError(
                f"--spool_folder {self._spool!r} cannot be written to: {one_line(error)}; choose another"
                " folder on the local disk"
            ) from error

    def done_shards(self) -> set[int]:
        """The shards that are done: those with statistics, whatever the digits of their names."""
        return self._done_of(self._names())

    def done_shards_and_highest(self) -> tuple[set[int], int | None]:
        """The same, and the highest number of a shard of which there is anything at all, if there is any.

        By one listing: the folder may have a million shards.
        """
        names = self._names()
        numbers = self._shards_of(names) | unfinished_shards(self._location)
        return self._done_of(names), max(numbers, default=None)

    def _done_of(self, names: list[str]) -> set[int]:
        self._names_listed = len(names)
        self._statistics_names = {}
        for name in names:
            shard_id = finished_shard(name)
            if shard_id is not None:
                self._statistics_names[shard_id] = name
        return set(self._statistics_names)

    def missing(self, shard_ids: set[int]) -> list[int]:
        """Those of these shards, made by this run, that are not there: the folder was cleared meanwhile.

        Few of them are asked for one by one: a folder with a million shards is not listed a second time.
        """
        if not shard_ids:
            return []
        if len(shard_ids) * NAMES_LISTED_WHILE_ONE_IS_ASKED_FOR >= self._names_listed:
            return sorted(shard_ids - self.done_shards())
        self._file_system.invalidate_cache()

        def is_there(shard_id: int) -> bool:
            name = statistics_name(shard_name(shard_id, self._digits))
            path = f"{self._location.path}/{name}"
            return bool(self._location.tried(lambda: self._file_system.exists(path)))

        in_order = sorted(shard_ids)
        with self.told_of("statistics", "read"):
            there = list(side_by_side(self._location, is_there, in_order))
        return [shard_id for shard_id, is_one in zip(in_order, there, strict=True) if not is_one]

    def highest_shard(self) -> int | None:
        """The highest number of a shard of which there is anything at all; None in a new folder."""
        return self.done_shards_and_highest()[1]

    def read_stats(self, shard_id: int) -> dict[str, Any]:
        """The statistics of a shard that is done.

        Raises:
            OutputError: the shard is not done, or its statistics cannot be read.
        """
        if shard_id not in self._statistics_names and shard_id not in self.done_shards():
            raise OutputError(f"output_folder {self.path!r}: shard {shard_id} has no statistics")
        name = self._statistics_names[shard_id]
        try:
            path = f"{self._location.path}/{name}"
            stats = json.loads(self._location.tried(lambda: self._file_system.cat_file(path)))
        except Exception as error:
            raise OutputError(
                f"output_folder {self.path!r}: {name} cannot be read: {one_line(error)}; "
                "remove it to have the shard made again"
            ) from error
        if not isinstance(stats, dict):
            raise OutputError(f"output_folder {self.path!r}: {name} is no statistics file")
        return stats

    def read_all_stats(self, shard_ids: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The numbers of shards that are done, and their statistics; from a store, several at once.

        Raises:
            OutputError: as ``read_stats``.
        """
        return side_by_side(self._location, lambda shard_id: (shard_id, self.read_stats(shard_id)), shard_ids)

    def counts(self, shard_ids: Iterable[int]) -> Counter[str]:
        """The rows and the successes of shards that are done, ``count`` and ``successes``.

        Raises:
            OutputError: as ``read_stats``.
        """
        total: Counter[str] = Counter()
        for _, stats in self.read_all_stats(shard_ids):
            total.update({name: int(stats.get(name, 0)) for name in ("count", "successes")})
        return total

    def metadata_paths(self, shard_ids: Iterable[int]) -> Iterator[str]:
        """The metadata files of shards that ``done_shards`` has found."""
        yield from map(self.metadata_path, shard_ids)

    def metadata_path(self, shard_id: int) -> str:
        """The metadata file of a shard that ``done_shards`` has found."""
        name = self._statistics_names[shard_id].removesuffix(STATISTICS_ENDING)
        return f"{self.path.rstrip('/')}/{metadata_name(name)}"

    def read_note(self, name: str) -> str | None:
        """The text of a small file directly in the folder; None if there is none.

        Raises:
            OutputError: it is there and cannot be read.
        """
        with self.told_of(name, "read"):
            return read_note(self._location, name)

    def write_note(self, name: str, text: str) -> None:
        """Keep a small text directly in the folder, in place of what stood under this name.

        Raises:
            OutputError: it cannot be written.
        """
        with self.told_of(name, "written"):
            write_note(self._location, name, text)

    def create_note(self, name: str, text: str) -> bool:
        """Keep a small text directly in the folder, unless there is one under this name; whether it is kept.

        Of two processes that do so in the same moment, one is told so, where the file system has a way for
        it: local ones have, and S3.

        Raises:
            OutputError: it cannot be written.
        """
        with self.told_of(name, "written"):
            return create_note(self._location, name, text)

    @contextlib.contextmanager
    def told_of(self, name: str, what: str) -> Iterator[None]:
        """Whatever a file system raises becomes one line that names the folder, the file and what failed."""
        try:
            yield
        except Exception as error:  # every file system has its own errors
            raise OutputError(
                f"output_folder {self.path!r}: {name} cannot be {what}: {one_line(error)}"
            ) from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one who decides what this folder holds, among the processes that see its locks.

        Raises:
            OutputError: another process has held the lock for a minute, or the folder cannot be written to.
        """
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(replacement_lock(self._location))
            except OSError as error:
                raise OutputError(
                    f"output_folder {self.path!r} cannot be written to: {one_line(error)}"
                ) from error
            yield

    def announce(self, shared: bool = False) -> list[int]:
        """Let other runs of this machine see that this one is at work here.

        Args:
            shared: whether it shares the shards with others that do so.

        Returns:
            The main processes of those that are, where the folder is on a local disk; but of two that share
            the shards neither sees the other.

        Raises:
            OutputError: the folder of temporary files cannot be made.
        """
        if not self._location.is_local:
            return []
        others = [
            process_of(run)
            for run in runs_with_temporaries(self._location)
            if other_run_lives(run) and not (shared and os.path.exists(self._mark_of(run)))
        ]
        try:
            os.makedirs(run_folder(self._location, self._run_id), exist_ok=True)
            if shared:
                Path(self._mark_of(self._run_id)).touch()
        except OSError as error:
            raise OutputError(
                f"output_folder {self.path!r} cannot be written to: {TEMPORARY_FOLDER}: {one_line(error)}; "
                "remove it, or choose another folder"
            ) from error
        return others

    def _mark_of(self, run_id: str) -> str:
        """The file that says of a run that it shares the shards with others."""
        return os.path.join(run_folder(self._location, run_id), SHARED_MARK)

    def empty(self) -> None:
        """Remove everything in the folder, for a run that starts over; see ``emptying``.

        Raises:
            OutputError: it is a folder that no run empties, or something in it cannot be removed.
        """
        names = self._names()
        empty_folder(self._location, names, bool(self._shards_of(names)), self._keep)

    def finish_replacements(self) -> set[int]:
        """Bring to its end what runs that died were replacing: to be called before anything is read.

        The replacement of a finished shard that was cut short after its commit point is completed, whoever
        began it; before it, the old shard stands, and what was staged is removed. A live run that is at it is
        not disturbed. Calling this again, or in two runs at once, does no harm.

        Returns:
            The shards that were completed.

        Raises:
            OutputError: a file cannot be moved, or another run has held the lock for a minute.
        """
        try:
            names = finish_all_replacements(self._location)
        except OutputError:
            raise
        except Exception as error:  # every file system has its own errors
            raise OutputError(
                f"output_folder {self.path!r}: a replacement that was cut short, in {REPLACEMENTS_FOLDER},"
                f" cannot be finished: {one_line(error)}"
            ) from error
        return self._shards_of(names)

    def remove_stale_temporaries(self) -> None:
        """Remove temporary files of runs of this host that have died; those of live runs stay.

        Never raises: leftovers that cannot be removed cost nothing but their room.
        """
        remove_dead_runs(self._location, self._spool)

    def remove_own_temporaries(self) -> None:
        """Remove what is left of this run's temporary files, at its end. Never raises."""
        remove_run(self._location, self._run_id, self._spool)

    def _names(self) -> list[str]:
        """Everything directly in the folder; nothing if there is no folder."""
        try:
            return names_in(self._location, self._location.path)
        except Exception as error:
            raise OutputError(f"output_folder {self.path!r} cannot be listed: {one_line(error)}") from error

    def _shards_of(self, names: Iterable[str]) -> set[int]:
        """The numbers of the shards that these files and folders are of."""
        shards = (shard_of(name, self._data_endings) for name in names)
        return {shard for shard in shards if shard is not None}

"""What one machine, or one task of a cluster, does of a run that an engine spreads over many.

In: a ``MemberTask``, plain values that travel there, and shards by place or as rows. Out: their reports. The
shards are made by a ``LocalPool``, in supervised processes, so that one that is killed costs no row. Used by
``spark`` and ``ray_cluster``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from img2dataset.distributing.engine import EngineSettings, Progress, Tell, as_member
from img2dataset.distributing.local import LocalPool
from img2dataset.distributing.member_notes import MemberRecord
from img2dataset.formats.dataset import RUNS_FOLDER, STATISTICS_ENDING, shard_name
from img2dataset.formats.settings import WriteSettings
from img2dataset.stopping import StopRequest
from img2dataset.storage.notes import read_note
from img2dataset.types import PlannedShard, ShardReport, ShardStats, Status
from img2dataset.working import WorkSettings

logger = logging.getLogger("img2dataset")

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class MemberTask:
    """What a member is told of a run, once; paths are absolute, since its working folder is another."""

    engine: EngineSettings
    work: WorkSettings


def member_task(settings: EngineSettings, work: WorkSettings) -> MemberTask:
    """What the members of a run are told.

    Args:
        settings, work: of the run, as the program has them.
    """
    fetch, write = work.fetch, work.write
    access = _with_absolute(fetch.access, "client_certificate", "client_key")
    fetch = dataclasses.replace(_with_absolute(fetch, "ca_bundle"), access=access)
    work = dataclasses.replace(work, fetch=fetch, write=_with_absolute(write, "output_folder"))
    return MemberTask(dataclasses.replace(settings, list=_with_absolute(settings.list, "url_list")), work)


def _with_absolute(settings: Settings, *names: str) -> Settings:
    """Settings whose paths are those of the program wherever they are read."""
    paths = {name: path for name in names if isinstance(path := getattr(settings, name), (str, os.PathLike))}
    absolute = {name: _absolute(os.fspath(path)) for name, path in paths.items()}
    # It is a dataclass, which a type variable cannot say.
    return dataclasses.replace(settings, **absolute)  # type: ignore[type-var]


def _absolute(path: str) -> str:
    """A local path from the root on; one with a scheme is left as it is."""
    return path if "://" in path or "::" in path else os.path.abspath(path)


class Member:
    """One of the processes of a cluster that have shards of a run made, for as long as it lives.

    Args:
        task: what it is told.
        name: of its note in the output folder.
        processes: worker processes that it has shards made by.
        interval_s: seconds from one note to the next.
        on_progress: called with the rows that it has done so far, by status.
        tell: called with what the user of the run is to know; it stands in the note too.
        shards_ahead: how many shards are read before a worker process has room for them; None: as locally.
    """

    def __init__(
        self,
        task: MemberTask,
        name: str,
        processes: int,
        interval_s: float,
        on_progress: Progress = lambda rows: None,
        shards_ahead: int | None = None,
        tell: Tell = lambda text: None,
    ) -> None:
        self.stop = StopRequest()
        self._work = dataclasses.replace(
            task.work, fetch=dataclasses.replace(task.work.fetch, processes=processes)
        )
        engine = dataclasses.replace(task.engine, processes_count=processes)
        self._on_progress = on_progress
        # Those of earlier calls of ``make``; a pool counts from nothing.
        self._rows_before: Counter[Status] = Counter()
        self._rows: Counter[Status] = Counter()
        self._pool = LocalPool(engine, self._show, self.stop)
        self._pool.member = name
        self._pool.tell = self.notice
        self._tell = tell
        self.notices: list[str] = []
        if shards_ahead is not None:
            self._pool.shards_ahead = shards_ahead
        write = self._work.write
        self._record = MemberRecord(
            write.locate(), name, write.run_id, engine.options.distributor, interval_s, self._look_for_stop
        )

    @property
    def deaths(self) -> list[str]:
        """Why worker processes ended that were to go on."""
        return self._pool.deaths

    def make(
        self, shards: Iterable[PlannedShard], members: int = 1, number: int = 0
    ) -> Iterator[ShardReport]:
        """Make shards; see ``Engine.run``. After a stop was asked for, none.

        Args:
            shards: to be made.
            members: how many members are at work, which share what hosts may be asked for.
            number: which of them this one is.
        """
        self._look_for_stop()
        if self.stop.made:
            return
        self._record.start()
        try:
            for report in self._pool.run(shards, as_member(self._work, number, members)):
                self._record.shard(report)
                yield report
        finally:
            self._rows_before += self._rows
            self._rows = Counter()
            self.close()

    def close(self) -> None:
        """Put the last note, until it makes more."""
        self._record.close()

    def _show(self, rows: Counter[Status]) -> None:
        self._rows = Counter(rows)
        so_far = self._rows_before + self._rows
        self._record.rows(so_far)
        self._on_progress(so_far)

    def notice(self, text: str) -> None:
        """The user of the run is to know this."""
        if text not in self.notices:
            self.notices.append(text)
            self._record.notice(text)
            self._tell(text)

    def _look_for_stop(self) -> None:
        """Where nothing else reaches it, a member finds in the folder that the run is to stop."""
        write = self._work.write
        with contextlib.suppress(Exception):  # the next look is soon; every file system has its own errors
            if not self.stop.made and read_note(write.locate(), stop_note(write.run_id)) is not None:
                self.stop.make(signal.SIGTERM)


def stop_note(run_id: str) -> str:
    """The name of the note, in the output folder, that tells the members of a run to stop."""
    return f"{RUNS_FOLDER}/stop-{run_id}"


def report_in_folder(write: WriteSettings, shard_id: int) -> ShardReport | None:
    """How a shard that was handed out ended, by what lies in the output folder; None if it is not done there.

    A member that was lost has told nothing of the shards that it had finished. Where the folder cannot be
    read just now, they are made again, which is harmless.
    """
    if write.incremental_mode == "retry_failed":  # what stands there may be what is to be replaced
        return None
    name = shard_name(shard_id, write.shard_digits) + STATISTICS_ENDING
    known = [field.name for field in dataclasses.fields(ShardStats) if field.name != "shard_id"]
    try:
        text = read_note(write.locate(), name)
        fields = json.loads(text or "{}")
        return ShardReport(shard_id, ShardStats(shard_id, **{field: fields[field] for field in known}))
    except Exception as error:  # there is none, or every file system has its own errors
        logger.debug("what became of shard %d is not known: %s", shard_id, error)
        return None

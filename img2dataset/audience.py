"""Who is told of a run while it goes on, and at its end: people, its folder, and services.

In: rows done, shards that have ended, the summary. Out: a progress line, the note of this member, the event
log, sinks, the live page, the report. None of them can end a run. Called by the api.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Container
from typing import TYPE_CHECKING

from img2dataset.distributing import MemberRecord
from img2dataset.errors import one_line
from img2dataset.log_output import json_line, notice
from img2dataset.manifest import shown_list
from img2dataset.options import Options
from img2dataset.reading import Reader
from img2dataset.reporting.event_log import EventLog
from img2dataset.reporting.events import EndEvent, Event, RunEvent
from img2dataset.reporting.findings import find
from img2dataset.reporting.progress import ProgressLine
from img2dataset.reporting.summary import RunSummary
from img2dataset.reporting.surroundings import Surroundings, surroundings_of
from img2dataset.shown_names import shown_name
from img2dataset.storage.locations import Location
from img2dataset.types import ShardReport, Status

if TYPE_CHECKING:
    from img2dataset.reporting.live import LivePage
    from img2dataset.reporting.sinks import Sinks

logger = logging.getLogger("img2dataset")

# A report that takes longer is told of.
TOLD_AFTER_S = 2.0
# What sinks have of the time of a run that was stopped.
SINKS_OF_STOPPED_S = 3.0


class Audience:
    """All who are told of one run; ``begin`` comes first, ``end`` last.

    Args:
        options: of the run.
        location: the output folder.
        run_id: of this program.

    Raises:
        MissingDependency, OptionError: a sink cannot be told anything.
    """

    def __init__(self, options: Options, location: Location, run_id: str) -> None:
        self.surroundings: Surroundings = surroundings_of(options)
        self._options = options
        self._location = location
        self._run_id = run_id
        self._sinks: Sinks | None = _sinks(options)
        self._progress: ProgressLine | None = None
        self.rows_done: Counter[Status] = Counter()
        self._page: LivePage | None = None

    def begin(self, member: str, on_machines: bool) -> None:
        """Tell that the run begins.

        Args:
            member: this program among the members of the run.
            on_machines: its workers may be on several.
        """
        options = self._options
        self._progress = ProgressLine(as_json=options.log_format == "json")
        self._record = MemberRecord(self._location, member, self._run_id, options.distributor)
        self._log = EventLog(self._location, self._run_event(member), self._tell_sinks)
        self._record.start(note_at_once=on_machines)
        self._log.start()
        if options.dashboard:
            from img2dataset.status.dashboard import start_dashboard

            self._page = start_dashboard(options.output_folder, options.dashboard_port)

    def find_total(self, reader: Reader, done: Container[int]) -> None:
        """Tell how many rows there are, where the list's files say so: soon, from a thread.

        Args:
            reader: of the list.
            done: shards that this run leaves as they are.
        """
        threading.Thread(target=self._find_total, args=(reader, done), daemon=True).start()

    def rows(self, rows_done: Counter[Status]) -> None:
        """The rows done so far, by status."""
        self.rows_done = rows_done
        if self._progress is not None:
            self._progress.show(rows_done)
            self._record.rows(rows_done)
            self._log.rows(rows_done)

    def shard(self, report: ShardReport) -> None:
        """A shard has ended."""
        self._record.shard(report)
        self._log.shard(report)

    def close_progress(self) -> None:
        """Nothing more is done: the progress line, and this member's note, say so."""
        if self._progress is not None:
            self._progress.close()
            self._record.close()

    def end(self, summary: RunSummary, is_stopped: bool) -> None:
        """Tell what became of it; the summary gets its findings.

        Args:
            summary: of the run.
            is_stopped: it was stopped, and has little time left.
        """
        summary.findings = find(summary.facts, self.surroundings)
        findings = [finding.to_document() for finding in summary.findings]
        deaths = summary.worker_deaths[:100]
        self._log.close(EndEvent(summary.end_time, summary.exit_status, summary.error, deaths, findings))
        if self._page is not None:
            self._page.close()
        if self._sinks is not None:
            from img2dataset.reporting.sinks import LAST_EVENTS_S

            self._sinks.close(SINKS_OF_STOPPED_S if is_stopped else LAST_EVENTS_S)

    def report(self, summary: RunSummary, shared: bool) -> None:
        """Put the report of the folder beside its shards, and its place into the summary.

        Of several ranks, each makes it that has made shards since it was made last: the last has them all.

        Args:
            summary: of the run.
            shared: it is one of several programs that make one dataset.
        """
        made = bool(summary.shards or summary.failed_shards or summary.unfinished)
        told = threading.Timer(TOLD_AFTER_S, _say_that_it_is_made)
        told.daemon = True
        told.start()
        try:
            # Nothing of it is loaded by runs without one.
            from img2dataset.reporting.report.writing import report_of_run

            summary.report_page = report_of_run(self._location, anew=made and not shared)
        except Exception as error:  # whatever it is: the dataset is there, and a report can be made later
            logger.warning(
                "no report could be made: %s; img2dataset report %s makes one",
                one_line(error),
                self._location.name,
            )
        finally:
            told.cancel()

    def tell_end(self, summary: RunSummary) -> None:
        """Where lines are JSON, the last of them: what became of the run, in numbers."""
        if self._options.log_format != "json":
            return
        line = json_line(
            "end",
            exit_status=summary.exit_status,
            rows={
                "success": summary.successes,
                "failed_to_download": summary.failed_to_download,
                "failed_to_resize": summary.failed_to_resize,
            },
            seconds=round(summary.end_time - summary.start_time, 3),
            shards=summary.shards,
            shards_failed=len(summary.failed_shards),
            error=summary.error,
            findings=[finding.kind.value for finding in summary.findings],
            output=shown_name(summary.output_folder),
            report=summary.report_page,
        )
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)

    def _tell_sinks(self, event: Event) -> None:
        if self._sinks is not None:
            self._sinks.take(event)

    def _run_event(self, member: str) -> RunEvent:
        return RunEvent(
            time=time.time(),
            run=self._run_id,
            member=member,
            url_list=shown_list(self._options.url_list) or "in memory",
            mode=self._options.incremental_mode,
            surroundings=self.surroundings,
        )

    def _find_total(self, reader: Reader, done: Container[int]) -> None:
        try:
            total = reader.total_rows()
        except Exception as error:  # the run itself meets the same error, and says it better
            logger.debug("the number of rows is not known: %s", error)
            return
        if total is not None and self._progress is not None:
            self._record.list_is_known(total)
            self._log.list_is_known(total)
            finished = len(done) if isinstance(done, set) else 0
            self._progress.set_total(max(0, total - finished * self._options.number_sample_per_shard))


def _say_that_it_is_made() -> None:
    notice("reporting", "all shards are made; the report is being made")


def _sinks(options: Options) -> Sinks | None:
    if not options.sink_names:
        return None
    from img2dataset.reporting.sinks import Sinks, SinkSettings

    shown = shown_list(options.output_folder) or options.output_folder
    return Sinks(options.sink_names, SinkSettings(options.output_folder, shown, options.wandb_project))

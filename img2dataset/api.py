"""From options to a finished dataset: what order things happen in, and nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from img2dataset.distributing import MemberRecord, create_engine, engine_settings, run_passes
from img2dataset.errors import Img2datasetError, RunFailed, one_line
from img2dataset.failures import is_retried
from img2dataset.formats import output_format
from img2dataset.imaging import missing_library
from img2dataset.log_output import set_up_as_given, set_up_logging
from img2dataset.manifest import shown_list
from img2dataset.options import Options, describe_options, resolve
from img2dataset.preparing import prepare
from img2dataset.reading import Reader, open_reader
from img2dataset.reporting.event_log import EventLog
from img2dataset.reporting.events import EndEvent, RunEvent
from img2dataset.reporting.findings import find, hopeless
from img2dataset.reporting.progress import ProgressLine
from img2dataset.reporting.summary import RunSummary
from img2dataset.reporting.surroundings import surroundings_of
from img2dataset.settings import work_settings
from img2dataset.stopping import StopRequest
from img2dataset.storage.locations import Location
from img2dataset.storage.patience import patience_with_list
from img2dataset.types import Status
from img2dataset.working.output_folder import OutputFolder

if TYPE_CHECKING:
    from img2dataset.reporting.live import LivePage
    from img2dataset.reporting.sinks import Sinks

logger = logging.getLogger("img2dataset")

# A run that finds nothing to do counts the rows of at most so many shards, so that it ends at once.
MOST_STATISTICS_READ = 1000


@describe_options
def download(**options: Any) -> RunSummary:
    """Download the images of a list of URLs, resize them and pack them, with metadata, into shards.

    Args:
        {options}

    Returns:
        The counts of the run.

    Raises:
        OptionError: an option's name, type, value or combination is wrong; nothing has been started.
        InputError: the list cannot be found, or is not as described.
        OutputError: the output folder cannot be written to.
        RunFailed: some shards could not be made, or the list broke off; what could be made is in the
            output folder, and the same call tries the rest again.
    """
    set_up_as_given(options)
    summary = run(resolve(options))
    if summary.exit_status:
        raise RunFailed("\n".join(summary.lines()))
    return summary


def run(options: Options, stop: StopRequest | None = None) -> RunSummary:
    """Do one run with checked options; shards that could not be made are in the summary.

    Args:
        options: what to do.
        stop: asked for from outside; the run then ends within a few seconds, and the same options go on
            where it stopped.
    """
    set_up_logging(options.log)
    stop = stop or StopRequest()
    settings = work_settings(options)

    def show(rows_done: Counter[Status]) -> None:
        progress.show(rows_done)
        record.rows(rows_done)
        log.rows(rows_done)

    engine = create_engine(engine_settings(options), show, stop)
    patience = patience_with_list(options.store_patience, lambda: stop.made)
    reader = open_reader(options, options.number_sample_per_shard, patience)
    output = OutputFolder(settings.write, lambda: stop.made)
    sinks = _sinks(options)
    here = prepare(output, options, reader, engine.capabilities.shares_output)
    if missing := missing_library(settings.image):
        logger.warning("%s", missing)
    began = time.monotonic()
    summary = RunSummary(
        options.output_folder,
        shards_skipped=len(here.skipped),
        retries_failed=options.incremental_mode == "retry_failed",
    )
    progress = ProgressLine(as_json=options.log_format == "json")
    record = MemberRecord(settings.write.locate(), engine.member, settings.write.run_id, options.distributor)
    event = _run_event(options, settings.write.run_id, engine.member)
    log = EventLog(settings.write.locate(), event, sinks.take if sinks is not None else lambda event: None)
    surroundings = log.surroundings
    record.start(note_at_once=engine.capabilities.machines)
    log.start()
    page = _dashboard(options)
    if options.incremental_mode != "new_only":
        threading.Thread(
            target=_find_total, args=(reader, progress, record, log, here.skipped, options), daemon=True
        ).start()
    made: set[int] = set()
    try:
        with here.reading(engine.capabilities.machines) as read:
            for report in run_passes(
                read,
                lambda shards: engine.run(shards, settings),
                here.skipped,
                options.max_shard_retry,
                lambda: stop.made,
            ):
                summary.add(report, here.to_retry.get(report.shard_id))
                record.shard(report)
                log.shard(report)
                if options.stop_early and (reason := hopeless(summary.facts, surroundings)) is not None:
                    raise RunFailed(
                        f"stopped early, since not one row succeeds: {reason.title}: {reason.cause};"
                        f" {reason.remedy}; --stop_early False goes on"
                    )
                if report.stats is not None:
                    made.add(report.shard_id)
        for shard_id in output.missing(made):
            summary.failed_shards[shard_id] = "it was made, and is no longer in the output folder"
        if engine.capabilities.shares_output:
            summary.leave_to_others(output.done_shards() - made - here.skipped)
        if not summary.shards and len(here.skipped) <= MOST_STATISTICS_READ:
            summary.counts_before = output.counts(here.skipped)
        if not stop.made:
            here.finish(all_made=not summary.failed_shards)
    except Img2datasetError as error:
        summary.error = str(error)
    finally:
        progress.close()
        record.close()
        summary.worker_deaths, summary.known_rows = engine.deaths, here.known_rows
        output.remove_own_temporaries()
        summary.can_pass = sum(
            rows
            for message, rows in summary.status_dict.items()
            if is_retried(message, options.retry_classes)
            and output_format(options.output_format).keeps_metadata
        )
        summary.end_time = summary.start_time + time.monotonic() - began
        summary.findings = find(summary.facts, surroundings)
        log.close(_end_event(summary))
        if page is not None:
            page.close()
        if sinks is not None:
            sinks.close()
    if options.report:
        summary.report_page = _report(settings.write.locate(), summary, engine.capabilities.shares_output)
    for line in summary.lines():
        logger.info("%s", line)
    return summary


def _report(location: Location, summary: RunSummary, shared: bool) -> str | None:
    """Put the report of the folder beside its shards; where it is, None where there is none.

    Of several ranks, each makes it that has made shards since it was made last: the last one has them all.
    """
    made = bool(summary.shards or summary.failed_shards or summary.unfinished)
    try:
        # Nothing of it is loaded by runs without one.
        from img2dataset.reporting.report.writing import report_of_run

        return report_of_run(location, anew=made and not shared)
    except Exception as error:  # whatever it is: the dataset is there, and a report can be made later
        logger.warning(
            "no report could be made: %s; img2dataset report %s makes one",
            one_line(error),
            location.name,
        )
        return None


def _dashboard(options: Options) -> LivePage | None:
    if not options.dashboard:
        return None
    from img2dataset.status.dashboard import start_dashboard

    return start_dashboard(options.output_folder, options.dashboard_port)


def _sinks(options: Options) -> Sinks | None:
    if not options.sink_names:
        return None
    from img2dataset.reporting.sinks import Sinks, SinkSettings

    shown = shown_list(options.output_folder) or options.output_folder
    return Sinks(options.sink_names, SinkSettings(options.output_folder, shown, options.wandb_project))


def _run_event(options: Options, run_id: str, member: str) -> RunEvent:
    return RunEvent(
        time=time.time(),
        run=run_id,
        member=member,
        url_list=shown_list(options.url_list) or "in memory",
        mode=options.incremental_mode,
        surroundings=surroundings_of(options),
    )


def _end_event(summary: RunSummary) -> EndEvent:
    findings = [finding.to_document() for finding in summary.findings]
    return EndEvent(
        summary.end_time, summary.exit_status, summary.error, summary.worker_deaths[:100], findings
    )


def _find_total(
    reader: Reader,
    progress: ProgressLine,
    record: MemberRecord,
    log: EventLog,
    done: Container[int],
    options: Options,
) -> None:
    """Tell who shows them how many rows there are, where the list's files say so."""
    try:
        total = reader.total_rows()
    except Exception as error:  # the run itself meets the same error, and says it better
        logger.debug("the number of rows is not known: %s", error)
        return
    if total is not None:
        record.list_is_known(total)
        log.list_is_known(total)
        finished = len(done) if isinstance(done, set) else 0
        progress.set_total(max(0, total - finished * options.number_sample_per_shard))

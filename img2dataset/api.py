"""From options to a finished dataset: what order things happen in, and nothing else."""

from __future__ import annotations

import logging
import time
from typing import Any

from img2dataset.audience import Audience
from img2dataset.distributing import create_engine, engine_settings, run_passes
from img2dataset.errors import Img2datasetError, RunFailed
from img2dataset.failures import is_retried
from img2dataset.formats import output_format
from img2dataset.imaging import missing_library
from img2dataset.log_output import set_up_as_given, set_up_logging
from img2dataset.options import Options, describe_options, resolve
from img2dataset.preparing import prepare
from img2dataset.reading import open_reader
from img2dataset.reporting.findings import hopeless
from img2dataset.reporting.summary import RunSummary
from img2dataset.settings import work_settings
from img2dataset.stopping import StopRequest
from img2dataset.storage.patience import patience_with_list
from img2dataset.types import SUCCESS
from img2dataset.working.output_folder import OutputFolder

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
    audience = Audience(options, settings.write.locate(), settings.write.run_id)
    engine = create_engine(engine_settings(options), audience.rows, stop)
    patience = patience_with_list(options.store_patience, lambda: stop.made)
    reader = open_reader(options, options.number_sample_per_shard, patience)
    output = OutputFolder(settings.write, lambda: stop.made)
    here = prepare(output, options, reader, engine.capabilities.shares_output)
    if missing := missing_library(settings.image):
        logger.warning("%s", missing)
    began = time.monotonic()
    summary = RunSummary(
        options.output_folder,
        shards_skipped=len(here.skipped),
        retries_failed=options.incremental_mode == "retry_failed",
    )
    audience.begin(engine.member, engine.capabilities.machines)
    if options.incremental_mode != "new_only":
        audience.find_total(reader, here.skipped)
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
                audience.shard(report)
                if options.stop_early and not here.skipped:
                    _refuse_if_hopeless(summary, audience)
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
        audience.close_progress()
        summary.worker_deaths, summary.known_rows = engine.deaths, here.known_rows
        output.remove_own_temporaries()
        summary.can_pass = sum(
            rows
            for message, rows in summary.status_dict.items()
            if is_retried(message, options.retry_classes)
            and output_format(options.output_format).keeps_metadata
        )
        summary.end_time = summary.start_time + time.monotonic() - began
        audience.end(summary, stop.made)
    # Who has stopped it may end it at once if it takes long.
    if options.report and not stop.made:
        audience.report(summary, engine.capabilities.shares_output)
    for line in summary.lines():
        logger.info("%s", line)
    audience.tell_end(summary)
    return summary


def _refuse_if_hopeless(summary: RunSummary, audience: Audience) -> None:
    """End a run that would only fail row after row."""
    reason = hopeless(summary.facts, audience.surroundings)
    # Rows of shards that are open may have succeeded.
    if reason is not None and not audience.rows_done[SUCCESS]:
        raise RunFailed(
            f"stopped early, since not one row succeeds: {reason.title}: {reason.cause}; {reason.remedy};"
            " --stop_early False goes on"
        )

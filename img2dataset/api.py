"""From options to a finished dataset: what order things happen in, and nothing else."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING, Any

from img2dataset.distributing import StopRequest, create_engine, run_passes
from img2dataset.errors import Img2datasetError, OutputError, RunFailed
from img2dataset.failures import is_taken_again
from img2dataset.imaging import missing_library
from img2dataset.options import Options, describe_options, resolve
from img2dataset.preparing import Plan, begin_behind_all_shards, finish, note_known, prepare
from img2dataset.reading import Reader, open_reader
from img2dataset.reporting import ProgressLine, RunSummary, known_urls_line
from img2dataset.settings import processes_count, read_settings, work_settings
from img2dataset.types import Shard
from img2dataset.writing import OutputFolder

if TYPE_CHECKING:
    from img2dataset.reading import KnownUrls

logger = logging.getLogger("img2dataset")

# Of shards that are there already, where nothing was left to do: so that it is said at once.
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
    stop = stop or StopRequest()
    settings = work_settings(options)
    reader = open_reader(read_settings(options))
    output = OutputFolder(settings.write)
    plan = prepare(output, options, reader)
    if missing := missing_library(settings.image):
        logger.warning("%s", missing)
    began = time.monotonic()
    summary = RunSummary(
        options.output_folder,
        shards_skipped=len(plan.skipped),
        retries_failed=options.incremental_mode == "retry_failed",
    )
    progress = ProgressLine()
    if options.incremental_mode != "new_only":
        threading.Thread(
            target=_find_total, args=(reader, progress, plan.skipped, options), daemon=True
        ).start()

    engine = create_engine(
        options.distributor, processes_count(options), options.max_shard_retry, progress.show, stop
    )
    made: set[int] = set()
    try:
        with _reading(reader, output, plan, options, summary) as read:
            for report in run_passes(
                read,
                lambda shards: engine.run(shards, settings),
                plan.skipped,
                options.max_shard_retry,
                lambda: stop.made,
            ):
                summary.add(report, plan.to_retry.get(report.shard_id))
                if report.stats is not None:
                    made.add(report.shard_id)
        # Whoever cleared the folder meanwhile, or put another in its place, is not to read that all is there.
        for shard_id in sorted(made - output.done_shards()):
            summary.failed_shards[shard_id] = "it was made, and is no longer in the output folder"
        if not summary.shards and len(plan.skipped) <= MOST_STATISTICS_READ:
            summary.standing = output.counts(plan.skipped)
        if not stop.made:
            finish(output, plan, reader.rows_of_files, all_made=not summary.failed_shards)
    except Img2datasetError as error:
        summary.error = str(error)
    finally:
        progress.close()
        summary.worker_deaths = engine.deaths
        output.remove_own_temporaries()
        summary.can_pass = sum(
            rows
            for message, rows in summary.status_dict.items()
            if is_taken_again(message, options.retry_classes) and options.output_format != "dummy"
        )
        summary.end_time = summary.start_time + time.monotonic() - began
    for line in summary.lines():
        logger.info("%s", line)
    return summary


@contextlib.contextmanager
def _reading(
    reader: Reader, output: OutputFolder, plan: Plan, options: Options, summary: RunSummary
) -> Iterator[Callable[[Container[int]], Iterator[Shard]]]:
    """What hands out the shards of this run: the list's, or those of its rows that are not there yet."""
    if plan.from_folder:
        from img2dataset.reading.folder_rows import shards_of_folder

        yield lambda skip: shards_of_folder(sorted(plan.to_retry), skip, output.metadata_path, reader.columns)
        return
    if options.incremental_mode != "new_only":
        if reader.has_marks or options.allow_mixing or not plan.skipped:
            yield lambda skip: reader.shards(skip, plan.first_shard_id, plan.others)
            return
        from img2dataset.reading.same_rows import shards_after_comparing

        if options.output_format == "dummy":
            raise OutputError(
                f"output_folder {options.output_folder!r} has shards of format dummy, which do not say from"
                " which rows they were made, and this list cannot be told from another; choose another"
                " folder, or --allow_mixing to go on anyway"
            )
        yield lambda skip: shards_after_comparing(
            reader, skip, plan.skipped, output.metadata_path, plan.first_shard_id, plan.others
        )
        return
    from img2dataset.reading import KnownUrls, only_new_rows

    with KnownUrls(tempfile.gettempdir()) as known:
        _read_known(known, output, plan)

        def read(skip: Container[int]) -> Iterator[Shard]:
            summary.known_rows = 0

            def on_known(rows: int) -> None:
                summary.known_rows += rows

            rows = options.number_sample_per_shard
            return only_new_rows(
                reader.shards(), known, rows, plan.first_shard_id, on_known, skip, plan.record.gaps
            )

        yield read


def _read_known(known: KnownUrls, output: OutputFolder, plan: Plan) -> None:
    """Read which URLs are left out, and settle where this run begins: see ``Plan.goes_on``."""
    with known_urls_line(len(plan.done)) as show:
        known.add_from_metadata(output.metadata_paths(plan.before), show)
        if not plan.goes_on(known.fingerprint):
            known.add_from_metadata(output.metadata_paths(begin_behind_all_shards(output, plan)), show)
    note_known(output, plan, known.fingerprint)


def _find_total(reader: Reader, progress: ProgressLine, done: Container[int], options: Options) -> None:
    """Tell the progress line how many rows this run has, where the list's files say so."""
    try:
        total = reader.total_rows()
    except Exception as error:  # the run itself meets the same error, and says it better
        logger.debug("the number of rows is not known: %s", error)
        return
    if total is not None:
        finished = len(done) if isinstance(done, set) else 0
        progress.set_total(max(0, total - finished * options.number_sample_per_shard))

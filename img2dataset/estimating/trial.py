"""The download of a sample, for real: rows come in, what was seen goes out, and nothing is left.

It is a run as any other (``api.run``), with the user's options, into a temporary folder on this machine.
Called by ``command``.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from dataclasses import dataclass

from img2dataset.api import run
from img2dataset.errors import Img2datasetError, one_line
from img2dataset.estimating.sampled_list import SampledList
from img2dataset.formats import output_format
from img2dataset.formats.dataset import finished_names, metadata_name
from img2dataset.options import Options
from img2dataset.reporting.event_log import read_logs
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import Finding
from img2dataset.settings import processes_count
from img2dataset.stopping import StopRequest
from img2dataset.storage.locations import locate
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN, SUCCESS

# Shards a process, so that all have work to their end, and what is done is heard of meanwhile.
SHARDS_A_PROCESS = 4
# What of the rows is the beginning, and the end, where servers that are slow are waited for.
_BEGUN, _ENDING = 0.1, 0.9
_LEAST_SETTLED = 0.3


class EstimateFailed(Img2datasetError):
    """The sample could not be downloaded."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was seen of a sample.

    ``seconds``: the whole of it. ``settled_rate``: rows a second between its beginning and its end; None
    where it was too short to tell. ``stored_bytes``: of all files of the dataset. ``succeeded``: whether each
    row did, in the order of the sample; None where the format keeps nothing of rows.
    """

    facts: Facts
    findings: list[Finding]
    seconds: float
    settled_rate: float | None
    stored_bytes: int
    succeeded: list[bool] | None


def download_sample(options: Options, sampled: SampledList, stop: StopRequest) -> Trial | None:
    """Download a sample with the options of a run.

    Args:
        options: those of the whole run.
        sampled: the rows.
        stop: asked for from outside.

    Returns:
        What was seen; None where it was stopped.

    Raises:
        EstimateFailed: the rows could not be made into shards.
        Img2datasetError: as ``api.run``.
    """
    with _temporary_folder(options.spool_folder) as folder:
        summary = run(trial_options(options, sampled, folder), stop)
        if stop.made:
            return None
        if summary.error is not None:
            raise EstimateFailed(f"the sample could not be downloaded: {summary.error}")
        if summary.failed_shards:
            reason = next(iter(summary.failed_shards.values()))
            raise EstimateFailed(f"the sample could not be written: {reason}")
        return Trial(
            facts=summary.facts,
            findings=summary.findings,
            seconds=summary.end_time - summary.start_time,
            settled_rate=_settled_rate(folder, sampled.rows.num_rows),
            stored_bytes=_stored_bytes(folder),
            succeeded=_succeeded(options, folder),
        )


def _temporary_folder(parent: str | None) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(
            prefix="img2dataset-estimate-", dir=parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise EstimateFailed(
            f"no temporary folder for the sample can be made: {one_line(error)}; give another --spool_folder"
        ) from error


def trial_options(options: Options, sampled: SampledList, folder: str) -> Options:
    """The options of the run, for the sample alone, on this machine, into a folder of its own."""
    names = sampled.rows.column_names
    shards = SHARDS_A_PROCESS * processes_count(options)
    verify_hash = options.verify_hash
    return dataclasses.replace(
        options,
        url_list=sampled.rows,
        url_col="url",
        caption_col="caption" if options.caption_col is not None and "caption" in names else None,
        bbox_col=BBOX_COLUMN if options.bbox_col is not None else None,
        verify_hash=(EXPECTED_HASH_COLUMN, *verify_hash[1:]) if verify_hash is not None else None,
        output_folder=folder,
        incremental_mode="incremental",
        number_sample_per_shard=min(
            options.number_sample_per_shard, max(1, -(-sampled.rows.num_rows // shards))
        ),
        distributor="multiprocessing",
        distributor_config=(),
        rank=None,
        world_size=None,
        enable_wandb=False,
        stop_early=False,
        dashboard=False,
        report=False,
    )


def _settled_rate(folder: str, rows: int) -> float | None:
    """Rows a second between the first and the last tenth of the rows, by the log of the run."""
    seen = [
        (tick.time, sum(tick.rows.values()))
        for log in read_logs(locate(folder, "folder", EstimateFailed))
        for tick in log.ticks
    ]
    middle = [(time, done) for time, done in seen if _BEGUN * rows <= done <= _ENDING * rows]
    if len(middle) < 2:
        return None
    (began, first), (ended, last) = middle[0], middle[-1]
    return (last - first) / (ended - began) if last - first >= _LEAST_SETTLED * rows else None


def _stored_bytes(folder: str) -> int:
    """The bytes of the dataset, without what runs note for themselves."""
    total = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        total += sum(os.path.getsize(os.path.join(parent, name)) for name in names if name[0] != ".")
    return total


def _succeeded(options: Options, folder: str) -> list[bool] | None:
    if not output_format(options.output_format).keeps_metadata:
        return None
    import pyarrow.parquet as pq

    found: list[bool] = []
    for shard in finished_names(os.listdir(folder)):
        table = pq.read_table(os.path.join(folder, metadata_name(shard)), columns=["status"])
        found += [status == SUCCESS for status in table.column("status").to_pylist()]
    return found

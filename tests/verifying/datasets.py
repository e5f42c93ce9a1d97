"""Datasets to verify in tests: made by the real writers, then broken by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.formats.settings import WriteSettings
from img2dataset.types import Sample
from img2dataset.verifying import VerificationReport, verify
from img2dataset.working.output_folder import OutputFolder
from tests.working.shards import input_table, settings_for, write_shard

ROWS = 10
FORMATS = ("files", "webdataset", "parquet", "tfrecord", "dummy")
DATA_NAMES = {
    "files": "00001",
    "webdataset": "00001.tar",
    "parquet": "00001.parquet",
    "tfrecord": "00001.tfrecord",
}


def extra_columns() -> dict[str, pa.Array]:
    """Columns of every kind that compares simply, and one that does not."""
    return {
        "tag": pa.array([None if row == 2 else f"t{row}" for row in range(ROWS)]),
        "number": pa.array([None if row == 3 else row - 5 for row in range(ROWS)], pa.int64()),
        "score": pa.array([[0.1, float("nan"), 1e300, None, -2.5][row % 5] for row in range(ROWS)]),
        "flag": pa.array([row % 2 == 0 for row in range(ROWS)]),
        "numbers": pa.array([[row, row + 1] for row in range(ROWS)]),
    }


def make_dataset(folder: Path | str, output_format: str, shards: int = 3, **changes: Any) -> WriteSettings:
    """A dataset of ``shards`` shards of ten rows; every third row failed."""
    settings = settings_for(folder, output_format, **changes)
    for shard_id in range(shards):
        write_shard(settings, input_table(ROWS, **extra_columns()), shard_id=shard_id)
    OutputFolder(settings).remove_own_temporaries()
    return settings


def check(folder: Path | str, **changes: Any) -> VerificationReport:
    """Verify in this process."""
    return verify(str(folder), **({"processes_count": 1} | changes))


def only_fault(folder: Path | str, **changes: Any) -> str:
    """The reasons why shard 1, and nothing else, is bad."""
    report = check(folder, **changes)
    assert report.exit_status == 1
    assert [shard.name for shard in report.bad] == ["00001"], report.lines()
    assert (report.missing, report.unfinished, report.unreadable, report.folder_faults) == ([], [], [], [])
    return report.bad[0].line()


def change_statistics(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Rewrite the statistics of shard 1."""
    path = folder / "00001_stats.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def change_rows(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Rewrite the metadata of shard 1."""
    path = folder / "00001.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def keys_of(samples: list[Sample]) -> list[str]:
    return [sample.key for sample in samples]

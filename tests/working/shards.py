"""Shards to write in tests: settings, rows and samples, and one call from these to files on disk."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from img2dataset.formats.dataset import sample_key
from img2dataset.formats.settings import WriteSettings
from img2dataset.options import ImageOptions
from img2dataset.storage.runs import new_run_id
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Sample, ShardStats
from img2dataset.working.shard_writer import ShardWriter


def settings_for(folder: Path | str, output_format: str, **changes: Any) -> WriteSettings:
    """What a run with these options would have its shards written with."""
    output = {"number_sample_per_shard": changes.pop("rows_per_shard", 10)}
    if "shard_digits" in changes:
        output["oom_shard_count"] = changes.pop("shard_digits")
    image = {name: changes.pop(name) for name in ("encode_format", "extract_exif") if name in changes}
    if "hash_column" in changes:
        image["compute_hash"] = changes.pop("hash_column")
    values: dict[str, Any] = {
        "output_folder": str(folder),
        "output_format": output_format,
        "run_id": new_run_id(),
        "save_captions": True,
        "image": ImageOptions(**image),
        **output,
    }
    return WriteSettings(**(values | changes))


def picture(index: int, encode_format: str = "JPEG") -> bytes:
    """A small real image, another one for each index."""
    encoded = io.BytesIO()
    Image.new("RGB", (8 + index % 8, 8), (index * 37 % 256, 80, 160)).save(encoded, encode_format)
    return encoded.getvalue()


def input_table(rows: int, **columns: Any) -> pa.Table:
    """Columns of the input: those given, captions, addresses."""
    captions = ["plain", "", None, 'caf\u00e9 \u2028 "quoted"\n', "\U0001f600"]
    return pa.table(
        {
            **columns,
            "caption": pa.array([captions[index % len(captions)] for index in range(rows)], pa.string()),
            "url": pa.array([f"http://example.com/{index}.jpg" for index in range(rows)], pa.string()),
        }
    )


def success(
    settings: WriteSettings, table: pa.Table, index: int, shard_id: int = 0, **changes: Any
) -> Sample:
    """The ``index``-th row with an image. ``changes`` are of the metadata."""
    captions = table.column("caption").to_pylist() if settings.save_captions else [None] * table.num_rows
    computed = {
        "status": SUCCESS,
        "error_message": None,
        "width": 8 + index % 8,
        "height": 8,
        "original_width": 640,
        "original_height": 480,
        "exif": "{}",
        "sha256": f"{index:064x}",
    }
    key = sample_key(shard_id, index, settings.shard_digits, settings.rows_per_shard)
    metadata = {"key": key} | computed | changes
    return Sample(index, key, picture(index), settings.encode_format, captions[index], metadata)


def failure(
    settings: WriteSettings,
    index: int,
    message: str = "HTTP 404",
    status: str = FAILED_TO_DOWNLOAD,
    shard_id: int = 0,
) -> Sample:
    """The ``index``-th row without an image."""
    empty = dict.fromkeys(("width", "height", "original_width", "original_height", "exif", "sha256"))
    key = sample_key(shard_id, index, settings.shard_digits, settings.rows_per_shard)
    metadata = {"key": key, "status": status, "error_message": message, **empty}
    return Sample(index, key, None, settings.encode_format, None, metadata)


def statistics_of(samples: list[Sample], shard_id: int = 0, ended: float = 1_700_000_003.75) -> ShardStats:
    """The statistics that agree with these samples. No two attempts at a shard end at the same moment."""
    statuses = Counter(sample.metadata["status"] for sample in samples)
    messages = Counter(sample.metadata["error_message"] or SUCCESS for sample in samples)
    return ShardStats(
        shard_id=shard_id,
        count=len(samples),
        successes=statuses[SUCCESS],
        failed_to_download=statuses[FAILED_TO_DOWNLOAD],
        failed_to_resize=statuses[FAILED_TO_RESIZE],
        start_time=1_700_000_000.25,
        end_time=ended,
        status_dict=dict(messages),
    )


def usual_samples(settings: WriteSettings, table: pa.Table, shard_id: int = 0) -> list[Sample]:
    """Every third row failed, and the rows ended in another order than the list's."""
    samples = [
        failure(settings, index, shard_id=shard_id)
        if index % 3 == 1
        else success(settings, table, index, shard_id)
        for index in range(table.num_rows)
    ]
    return samples[1::2] + samples[::2]


def write_shard(
    settings: WriteSettings,
    table: pa.Table | None = None,
    samples: list[Sample] | None = None,
    shard_id: int = 0,
) -> list[Sample]:
    """Write and commit one shard; returns its samples in the order of the rows."""
    table = input_table(10) if table is None else table
    samples = usual_samples(settings, table, shard_id) if samples is None else samples
    writer = ShardWriter(settings, shard_id, table)
    for sample in samples:
        writer.write(sample)
    writer.commit(statistics_of(samples, shard_id))
    return sorted(samples, key=lambda sample: sample.index)


def succeeded(samples: list[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.image is not None]


def visible(folder: Path) -> list[str]:
    """The names that a reader sees in the output folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def leftovers(folder: Path) -> list[Path]:
    """Temporary files, anywhere under the output folder."""
    return [path for path in folder.rglob("*") if path.is_file() and ".tmp" in path.parts]

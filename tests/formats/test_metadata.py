from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.types import FAILED_TO_RESIZE
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import (
    failure,
    input_table,
    leftovers,
    settings_for,
    statistics_of,
    success,
    usual_samples,
    visible,
    write_shard,
)


def test_the_columns_are_those_of_the_contract_in_its_order_and_types(tmp_path: Path) -> None:
    write_shard(
        settings_for(tmp_path, "webdataset"), input_table(10, score=pa.array([0.5] * 10, pa.float32()))
    )
    schema = pq.read_schema(tmp_path / "00000.parquet")
    assert schema.equals(
        pa.schema(
            {
                "score": pa.float32(),
                "caption": pa.string(),
                "url": pa.string(),
                "key": pa.string(),
                "status": pa.string(),
                "error_message": pa.string(),
                "width": pa.int32(),
                "height": pa.int32(),
                "original_width": pa.int32(),
                "original_height": pa.int32(),
                "exif": pa.string(),
                "sha256": pa.string(),
            }
        )
    )


@pytest.mark.parametrize(
    ("changes", "last_columns"),
    [
        ({"extract_exif": False}, ["original_height", "sha256"]),
        ({"extract_exif": False, "hash_column": None}, ["original_width", "original_height"]),
        ({"hash_column": "md5"}, ["exif", "md5"]),
    ],
)
def test_exif_and_hash_are_columns_only_when_asked_for(
    tmp_path: Path, changes: dict[str, Any], last_columns: list[str]
) -> None:
    settings = settings_for(tmp_path, "files", **changes)
    table = input_table(2)
    write_shard(settings, table, [success(settings, table, 0, md5="00"), failure_with(settings, 1, md5=None)])
    assert pq.read_schema(tmp_path / "00000.parquet").names[-2:] == last_columns


def failure_with(settings: Any, index: int, **changes: Any) -> Any:
    sample = failure(settings, index)
    sample.metadata.update(changes)
    return sample


def test_every_row_is_there_in_the_order_of_the_list_whatever_order_it_settled_in(tmp_path: Path) -> None:
    table = input_table(10)
    samples = write_shard(settings_for(tmp_path, "webdataset"), table)
    read = pq.read_table(tmp_path / "00000.parquet")
    assert read.to_pylist() == [
        row | sample.metadata for row, sample in zip(table.to_pylist(), samples, strict=True)
    ]


def test_input_columns_keep_their_exact_type_and_drop_untrue_notes(tmp_path: Path) -> None:
    dictionary = pa.array(["x", "y"] * 5).dictionary_encode()
    when = pa.array(range(10), pa.timestamp("ns", "Europe/Paris"))
    table = input_table(10, kind=dictionary, when=when)
    strict = pa.schema([field.with_nullable(False) for field in table.schema][:2] + list(table.schema)[2:])
    noted = pa.Table.from_arrays(table.columns, schema=strict).replace_schema_metadata({"pandas": "{}"})
    settings = settings_for(tmp_path, "webdataset")
    write_shard(settings, noted, usual_samples(settings, table))
    read = pq.read_table(tmp_path / "00000.parquet")
    assert read.select(table.column_names) == table
    assert all(field.nullable for field in read.schema)
    assert b"pandas" not in (read.schema.metadata or {})


def test_statistics_are_written_as_indented_json(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    samples = write_shard(settings)
    text = (tmp_path / "00000_stats.json").read_text()
    expected = statistics_of(samples).as_json()
    assert json.loads(text) == expected
    assert list(json.loads(text)) == [
        "count",
        "successes",
        "failed_to_download",
        "failed_to_resize",
        "duration",
        "start_time",
        "end_time",
        "status_dict",
    ]
    assert text == json.dumps(json.loads(text), indent=4)


def shard_of_three(folder: Path) -> tuple[ShardWriter, list[Any]]:
    settings = settings_for(folder, "webdataset")
    table = input_table(3)
    samples = [
        success(settings, table, 0),
        failure(settings, 1),
        failure(settings, 2, "decode: truncated", FAILED_TO_RESIZE),
    ]
    return ShardWriter(settings, 0, table), samples


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 4}, "count = 4"),
        ({"successes": 2}, "successes = 2"),
        ({"failed_to_download": 0}, "failed_to_download = 0"),
        ({"failed_to_resize": 5}, "failed_to_resize = 5"),
        ({"status_dict": {"success": 1, "HTTP 404": 2}}, "status_dict"),
        ({"status_dict": {}}, "status_dict"),
        ({"shard_id": 1}, "shard 1"),
    ],
)
def test_statistics_that_do_not_agree_with_the_rows_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    writer, samples = shard_of_three(tmp_path)
    for sample in samples:
        writer.write(sample)
    with pytest.raises(OutputError, match=message):
        writer.commit(replace(statistics_of(samples), **changes))
    writer.discard()
    assert visible(tmp_path) == []
    assert leftovers(tmp_path) == []


def test_a_shard_with_a_row_that_was_never_settled_is_refused(tmp_path: Path) -> None:
    writer, samples = shard_of_three(tmp_path)
    writer.write(samples[0])
    writer.write(samples[2])
    with pytest.raises(OutputError, match="1 of 3 rows were never set, row 1 the first"):
        writer.commit(statistics_of(samples))
    assert visible(tmp_path) == []


def test_a_row_is_settled_once(tmp_path: Path) -> None:
    writer, samples = shard_of_three(tmp_path)
    writer.write(samples[0])
    with pytest.raises(OutputError, match="row 0 was set twice"):
        writer.write(samples[0])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_row_that_the_shard_does_not_have_is_refused(tmp_path: Path, index: int) -> None:
    writer, samples = shard_of_three(tmp_path)
    with pytest.raises(OutputError, match=f"row {index} of 3 does not exist"):
        writer.write(replace(samples[1], index=index))


def test_a_success_without_an_image_is_refused(tmp_path: Path) -> None:
    writer, samples = shard_of_three(tmp_path)
    with pytest.raises(OutputError, match="success without an image"):
        writer.write(replace(samples[0], image=None))


def broken_text_table() -> pa.Table:
    """As a parquet file may have it: a column of text whose second value is not UTF-8."""
    raw = pa.array([b"good", b"\xff\xfe", b"too"], pa.binary())
    return input_table(3, title=pa.Array.from_buffers(pa.string(), 3, raw.buffers()))


@pytest.mark.parametrize("output_format", ["files", "webdataset", "tfrecord"])
def test_a_row_that_the_format_cannot_hold_says_so_before_it_is_fetched(
    tmp_path: Path, output_format: str
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings = settings_for(tmp_path, output_format)
    writer = ShardWriter(settings, 0, broken_text_table())
    failures = [writer.input_row_failure(index) for index in range(3)]
    assert failures == [None, "invalid row: title: not valid UTF-8", None]
    table = broken_text_table()
    samples = [
        success(settings, table, 0),
        failure(settings, 1, str(failures[1])),
        success(settings, table, 2),
    ]
    for sample in samples:
        writer.write(sample)
    writer.commit(statistics_of(samples))
    assert pq.read_table(tmp_path / "00000.parquet")["title"].equals(table["title"])


@pytest.mark.parametrize("output_format", ["parquet", "dummy"])
def test_parquet_can_hold_any_arrow_value(tmp_path: Path, output_format: str) -> None:
    writer = ShardWriter(settings_for(tmp_path, output_format), 0, broken_text_table())
    assert [writer.input_row_failure(index) for index in range(3)] == [None] * 3
    writer.discard()


def test_the_writer_knows_the_keys_of_its_rows(tmp_path: Path) -> None:
    writer = ShardWriter(settings_for(tmp_path, "dummy", rows_per_shard=3), 1, input_table(3))
    assert [writer.key_of(index) for index in range(3)] == ["000010", "000011", "000012"]

"""parquet: any type, any place in the file, and no more decoded than is asked for."""

import datetime
import decimal
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from img2dataset.errors import InputError
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN
from tests.reading.breaking import shards_before_error


def written(tmp_path, table, name="a.parquet", **options):
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), tmp_path / name, **options)
    return tmp_path / name


ANY_TYPE = {
    "timestamp": pa.array([datetime.datetime(2020, 1, 1), None], pa.timestamp("us", "UTC")),
    "date": pa.array([datetime.date(2020, 1, 1), None], pa.date32()),
    "decimal": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
    "binary": pa.array([b"\xff\0", None], pa.binary()),
    "list": pa.array([[[1], []], None], pa.list_(pa.list_(pa.int16()))),
    "struct": pa.array([{"a": 1, "b": {"c": ["x"]}}, None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "dictionary": pa.array(["x", None]).dictionary_encode(),
    "large_string": pa.array(["x", None], pa.large_string()),
    "null": pa.nulls(2),
    "float32": pa.array([0.5, None], pa.float32()),
    "duration": pa.array([5, None], pa.duration("s")),
}


@pytest.mark.parametrize("name", ANY_TYPE)
def test_additional_columns_keep_any_type(tmp_path, shards, name):
    path = written(tmp_path, {"x": ANY_TYPE[name], "url": ["http://a", "http://b"]})
    [shard] = shards(path, "parquet", save_additional_columns=("x",))
    assert shard.rows.column("x").to_pylist() == ANY_TYPE[name].to_pylist()
    assert shard.rows.schema.field("x").type == pq.read_schema(path).field("x").type


def test_columns_pass_unchanged_under_their_final_names(tmp_path, shards):
    boxes = pa.array([[[0.1, 0.2, 0.3, 0.4]], None], pa.list_(pa.list_(pa.float32())))
    path = written(
        tmp_path, {"h": ["aa", None], "b": boxes, "URL": ["http://a", "http://b"], "T": ["x", None]}
    )
    [shard] = shards(
        path,
        "parquet",
        url_col="URL",
        caption_col="T",
        bbox_col="b",
        verify_hash=("h", "sha256"),
        save_additional_columns=("b", "URL"),
    )
    assert shard.rows.column_names == ["b", "URL", "caption", "url", BBOX_COLUMN, EXPECTED_HASH_COLUMN]
    assert shard.rows.schema.field(BBOX_COLUMN).type == pq.read_schema(path).field("b").type
    assert shard.rows.column(BBOX_COLUMN).to_pylist() == boxes.to_pylist()


@pytest.mark.parametrize(
    ("urls", "expected", "invalid"),
    [
        (pa.array(["http://a", None, "", "  "]), ["http://a", None, None, None], {}),
        (pa.array(["http://a", None, "", "x"], pa.large_string()), ["http://a", None, None, "x"], {}),
        (pa.array(["http://a", None, "x", "x"]).dictionary_encode(), ["http://a", None, "x", "x"], {}),
        (pa.array([b"http://a", None, b"\xff", b""], pa.binary()), ["http://a", None, "�", None], {}),
        (pa.array([1, None, 2, 3]), [None] * 4, dict.fromkeys((0, 2, 3), "invalid url: not a string")),
        (pa.nulls(4), [None] * 4, {}),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_urls_of_any_type_become_strings_or_failed_rows(tmp_path, shards, urls, expected, invalid):
    [shard] = shards(written(tmp_path, {"url": urls}), "parquet")
    assert shard.rows.schema.field("url").type == pa.string()
    assert shard.rows.column("url").to_pylist() == expected
    assert shard.invalid_urls == invalid


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (pa.array([1.0, None], pa.float32()), ["1.0", None]),
        (pa.array([True, False]), ["True", "False"]),
        (pa.array([7, None], pa.int8()), ["7", None]),
        (pa.array([["a", "é"], []]), ['["a", "é"]', "[]"]),
        (pa.array([{"k": 1}, None]), ['{"k": 1}', None]),
        (pa.array([b"\xffx", None]), ["�x", None]),
        (pa.array(["x", ""], pa.large_string()), ["x", ""]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_captions_of_any_type_become_text(tmp_path, shards, captions, expected):
    [shard] = shards(written(tmp_path, {"url": ["a", "b"], "c": captions}), "parquet", caption_col="c")
    assert shard.rows.schema.field("caption").type == pa.string()
    assert shard.rows.column("caption").to_pylist() == expected


def test_names_with_dots_are_columns_and_not_paths(tmp_path, rows):
    path = written(tmp_path, {"a": [1], "a.b": [2], "s": [{"b": 3}], "url": ["http://a"]})
    assert rows(path, "parquet", save_additional_columns=("a.b", "a", "s")) == [
        {"a.b": 2, "a": 1, "s": {"b": 3}, "url": "http://a"}
    ]


def test_shards_and_row_groups_need_not_meet(tmp_path, shards):
    path = written(tmp_path, {"url": [str(i) for i in range(1000)]}, row_group_size=77)
    found = shards(path, "parquet", rows_per_shard=90)
    assert [shard.rows.num_rows for shard in found] == [*[90] * 11, 10]
    assert [row for shard in found for row in shard.rows.column("url").to_pylist()] == [
        str(i) for i in range(1000)
    ]


def test_a_shard_is_in_one_piece_and_keeps_nothing_else_alive(tmp_path, shards):
    path = written(tmp_path, {"url": ["u" * 100] * 5000, "d": pa.array(["x"] * 5000).dictionary_encode()})
    [first, second] = shards(path, "parquet", rows_per_shard=4900, save_additional_columns=("d",))
    assert {column.num_chunks for shard in (first, second) for column in shard.rows.columns} == {1}


def test_row_groups_of_skipped_shards_are_not_decoded(tmp_path, reader):
    path = written(tmp_path, {"url": [f"http://a/{i:06}" for i in range(1000)]}, row_group_size=100)
    content = bytearray(path.read_bytes())
    metadata = pq.read_metadata(path)
    for group in range(9):
        start = metadata.row_group(group).column(0).dictionary_page_offset
        content[start : start + 300] = b"\xff" * 300
    path.write_bytes(content)
    [shard] = reader(path, "parquet", rows_per_shard=100).shards(skip=range(9))
    assert (shard.shard_id, shard.rows.column("url")[0].as_py()) == (9, "http://a/000900")
    with pytest.raises(InputError, match="breaks off in row group 0"):
        list(reader(path, "parquet", rows_per_shard=100).shards())


def test_rows_before_a_broken_row_group_are_used(tmp_path, reader):
    path = written(tmp_path, {"url": [f"http://a/{i:06}" for i in range(1000)]}, row_group_size=100)
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(5).column(0).dictionary_page_offset
    content[start : start + 300] = b"\xff" * 300
    path.write_bytes(content)
    found, message = shards_before_error(reader(path, "parquet", rows_per_shard=60))
    assert "row group 5" in message
    assert [shard.rows.num_rows for shard in found] == [*[60] * 8, 20]


def test_the_number_of_rows_is_known_from_the_footers(tmp_path, reader):
    for name, count in (("a", 5), ("b", 7)):
        written(tmp_path, {"url": ["http://a"] * count}, f"{name}.parquet")
    assert reader(tmp_path, "parquet").total_rows() == 12


def test_a_truncated_file_is_named(tmp_path, shards):
    path = written(tmp_path, {"url": ["http://a"] * 100})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as parquet"):
        shards(path, "parquet")


class OneConnection(LocalFileSystem):
    """As SFTP by paramiko: threads that read at once take each other's answers, and wait for ever."""

    protocol: ClassVar[tuple[str, ...]] = ("one-connection", "sftp")


@pytest.mark.parametrize("protocol", ["sftp", "ssh", "ftp"])
def test_rows_are_not_counted_beside_the_reading_over_one_connection(tmp_path, reader, monkeypatch, protocol):
    monkeypatch.setattr(OneConnection, "protocol", ("one-connection", protocol))
    fsspec.register_implementation("one-connection", OneConnection, clobber=True)
    path = written(tmp_path, {"url": ["http://a", "http://b"]})
    assert reader(path, "parquet").total_rows() == 2
    remote = reader(f"one-connection://{path}", "parquet")
    assert remote.total_rows() is None
    assert sum(shard.rows.num_rows for shard in remote.shards()) == 2

"""Shards by place: what the plan says, read where it says, is what reading the list gives."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader, open_reader, text
from img2dataset.types import InputFile, RowsSpec, ShardSpec, spec_of_json
from tests.reading.planned import assert_planned_as_read, assert_same, given, specs_by_place
from tests.reading.random_lists import FORMATS, random_options, write_random_list

LISTS = 25
# The smallest holds a byte-order mark.
BLOCK_BYTES = (4, 50, 1000, 1 << 20)


@pytest.mark.parametrize("input_format", FORMATS)
@pytest.mark.parametrize("block_bytes", BLOCK_BYTES)
def test_shards_by_place_are_those_of_the_list(tmp_path, monkeypatch, input_format, block_bytes):
    monkeypatch.setattr(text, "BLOCK_BYTES", block_bytes)
    shards = 0
    for seed in range(LISTS):
        noise = random.Random(f"{input_format} {block_bytes} {seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        settings = random_options(input_format, noise)
        write_random_list(folder, input_format, settings, noise)
        options = InputOptions(url_list=str(folder), input_format=input_format, **settings)
        skip = set(noise.sample(range(30), noise.choice((0, 0, 10))))
        others = set(range(noise.choice((1000, 1000, 5)), 1100))
        plan = (skip, noise.choice((0, 3)), others)
        try:
            shards += assert_planned_as_read(options, noise.randint(1, 20), *plan) or 0
        except AssertionError:
            print(f"seed {seed}, {options}")
            raise
    assert shards > LISTS


def planned(url_list, input_format, rows_per_shard=2, **settings):
    reader = open_reader(
        InputOptions(url_list=url_list, input_format=input_format, **settings), rows_per_shard
    )
    return list(reader.plan())


def test_a_spec_is_plain_values(write):
    path = write("a.txt", "\ufeffhttp://a\nhttp://b\r\n\nhttp://c")
    size, modified = path.stat().st_size, path.stat().st_mtime
    file = InputFile(str(path), size, modified, "mtime")
    first, last = planned(path, "txt")
    assert first == ShardSpec(0, file, 0, 2, {"bytes": [0, 22]})
    assert last == ShardSpec(1, file, 2, 1, {"bytes": [22, size]})
    assert spec_of_json(first.to_json()) == first
    assert json.loads(first.to_json())["file"]["size"] == size


def test_rows_in_a_spec_survive_text_with_what_is_wrong_with_them(shards):
    url_list = [{"url": "http://a", "n": 1}, {"url": 7, "n": 2}]
    settings = {"save_additional_columns": ("n",)}
    [spec] = planned(url_list, "txt", **settings)
    assert isinstance(spec, RowsSpec)
    again = spec_of_json(spec.to_json())
    [expected] = shards(url_list, "txt", **settings)
    assert expected.invalid_urls
    assert_same(ShardReader(InputOptions(url_list=None)).read(again), expected)


@pytest.mark.parametrize(
    ("input_format", "content", "settings"),
    [
        ("txt.gz", gzip.compress(b"http://a\n", mtime=0), {}),
        ("csv.gz", gzip.compress(b"url\nhttp://a\n", mtime=0), {}),
        ("json", b'[{"url": "http://a"}]', {}),
        ("txt", "http://a\n".encode("utf-16"), {}),
        ("csv", b"url\nhttp://\xe4\n", {"input_encoding": "latin-1"}),
    ],
)
def test_what_has_no_middle_to_enter_is_given_out_as_rows(tmp_path, input_format, content, settings):
    path = tmp_path / f"a.{input_format}"
    path.write_bytes(content)
    [spec] = planned(path, input_format, **settings)
    assert isinstance(spec, RowsSpec)
    assert spec.shard_id == 0
    assert spec.shard.rows.num_rows == 1


def test_a_pipe_is_given_out_as_rows(tmp_path):
    read, write_end = os.pipe()
    os.write(write_end, b"http://a\nhttp://b\nhttp://c\n")
    os.close(write_end)
    specs = planned(f"/dev/fd/{read}", "txt")
    os.close(read)
    assert [spec.shard.rows.num_rows for spec in specs if isinstance(spec, RowsSpec)] == [2, 1]


@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF8"])
def test_utf_8_by_any_name_is_entered(write, encoding):
    [spec] = planned(write("a.txt", "http://ä\n"), "txt", input_encoding=encoding)
    assert isinstance(spec, ShardSpec)


def test_a_row_longer_than_blocks_is_one_row(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 1000)
    out = io.StringIO(newline="")
    rows = [["url", "caption"], ["http://a", "x"], ["http://b", 'long "line"\n' * 2000], ["http://c", "y"]]
    csv.writer(out).writerows(rows)
    (tmp_path / "a.csv").write_text(out.getvalue(), newline="")
    options = InputOptions(url_list=str(tmp_path), input_format="csv", caption_col="caption")
    assert assert_planned_as_read(options, 1) == 3
    assert [spec.rows for spec in specs_by_place(open_reader(options, 2))] == [2, 1]


@pytest.mark.parametrize("quotes", ['"proper"', '5" disk'])
def test_blank_lines_without_end_are_no_rows(tmp_path, monkeypatch, quotes):
    monkeypatch.setattr(text, "BLOCK_BYTES", 100)
    content = f"url,caption\nhttp://a,{quotes}\n" + "\n\r\n\r" * 3000 + f"http://b,{quotes}\n" + "\n" * 500
    (tmp_path / "a.csv").write_text(content, newline="")
    options = InputOptions(url_list=str(tmp_path), input_format="csv", caption_col="caption")
    assert assert_planned_as_read(options, 10) == 1


BIG = 17 << 20


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        (2000, '"open\nfor ever\n'),
        (3, 'http://x,"' + "long\n" * (BIG // 5) + '"\nhttp://y,z\n'),
        (3, "http://x," + "l" * BIG + "\nhttp://y,z\n"),
        (3, "http://x," + "l" * (25 << 20)),
    ],
    ids=["open", "field of many lines", "field", "line"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_breaks_a_csv_is_told_after_the_same_rows_in_the_same_words(
    tmp_path, monkeypatch, before, wrong, line_end
):
    monkeypatch.setattr(text, "MAX_LINE_BYTES", 20 << 20)
    rows = "".join(f'http://{row},"a\nb"\n' for row in range(before))
    content = f"url,caption\n{rows}{wrong}".replace("\n", line_end)
    (tmp_path / "a.csv").write_text(content, newline="")
    (tmp_path / "b.csv").write_text("url,caption\nhttp://never,x\n")
    options = InputOptions(url_list=str(tmp_path), input_format="csv", caption_col="caption")
    reader = open_reader(options, 1500)
    specs, error = given(reader.plan())
    assert sum(spec.rows for spec in specs) == before
    assert error == given(reader.shards())[1]
    assert "a.csv" in error


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_line_of_an_open_quote_is_counted_over_all_pieces_of_the_file(tmp_path, monkeypatch, line_end):
    monkeypatch.setattr(text, "BLOCK_BYTES", 7)
    (tmp_path / "a.csv").write_text(f"url{line_end}" + f"http://a{line_end}" * 200 + '"open', newline="")
    reader = open_reader(InputOptions(url_list=str(tmp_path), input_format="csv"), 1500)
    error = given(reader.plan())[1]
    assert "before line 203" in error
    assert error == given(reader.shards())[1]


def test_lines_that_are_no_text_are_counted_in_one_warning(tmp_path, caplog):
    (tmp_path / "a.txt").write_bytes(b"http://\xe4\nhttp://b\nhttp://\xf6\n")
    options = InputOptions(url_list=str(tmp_path), input_format="txt")
    reader = open_reader(options, 1)
    caplog.clear()
    specs = specs_by_place(reader)
    assert [record.message[:9] for record in caplog.records] == ["2 lines o"]
    caplog.clear()
    found = [ShardReader(options).read(spec).rows.column("url").to_pylist() for spec in specs]
    assert found == [["http://\ufffd"], ["http://b"], ["http://\ufffd"]]
    assert not caplog.records


def test_warnings_name_the_row_of_the_file(write, caplog):
    path = write("a.csv", "url,n\nhttp://a,1\nhttp://b,2\nhttp://c\n")
    options = InputOptions(url_list=str(path), input_format="csv")
    last = specs_by_place(open_reader(options, 1))[-1]
    caplog.clear()
    ShardReader(options).read(last)
    assert "row 3 of" in caplog.text


def test_the_types_of_a_file_are_told_to_those_who_read_a_part(write):
    lines = "".join(f"http://{row},{row},{row},\n" for row in range(5)) + "http://x,x,6,y\n"
    path = write("a.csv", f"url,n,m,e\n{lines}")
    settings = {"save_additional_columns": ("n", "m", "e")}
    options = InputOptions(url_list=str(path), input_format="csv", **settings)
    first = specs_by_place(open_reader(options, 2))[0]
    rows = ShardReader(options).read(first).rows
    assert rows.column("n").to_pylist() == ["0", "1"]
    assert rows.column("m").to_pylist() == [0, 1]
    assert rows.column("e").type == pa.string()


def test_shards_are_read_in_any_order(tmp_path):
    for name, row_group_size in (("a", 30), ("b", 100)):
        table = pa.table({"url": [f"http://{name}/{row}" for row in range(100)]})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=row_group_size)
    options = InputOptions(url_list=str(tmp_path), input_format="parquet")
    reader = open_reader(options, 7)
    specs = specs_by_place(reader)
    expected = {shard.shard_id: shard for shard in reader.shards()}
    random.Random(1).shuffle(specs)
    shard_reader = ShardReader(options)
    for spec in [*specs, *specs]:
        assert_same(shard_reader.read(spec), expected[spec.shard_id])


def test_only_footers_of_parquet_are_read_to_plan_and_a_row_group_once(tmp_path):
    from tests.reading.test_streaming import CountingFile

    noise = random.Random(1)
    urls = [f"http://{noise.getrandbits(400):x}" for _ in range(100_000)]
    pq.write_table(pa.table({"url": urls}), tmp_path / "a.parquet", row_group_size=1 << 20)
    size = (tmp_path / "a.parquet").stat().st_size
    assert size > 8 << 20
    options = InputOptions(url_list=f"counting://{tmp_path}/a.parquet", input_format="parquet")
    reader = open_reader(options, 1000)
    CountingFile.taken = 0
    specs = specs_by_place(reader)
    assert len(specs) == 100
    assert CountingFile.taken < size / 20
    CountingFile.taken = 0
    shard_reader = ShardReader(options)
    rows = sum(shard_reader.read(spec).rows.num_rows for spec in specs)
    assert rows == 100_000
    assert CountingFile.taken < size * 1.5


@pytest.mark.parametrize("input_format", ["txt", "csv", "jsonl"])
def test_only_its_own_bytes_are_read_of_a_text(tmp_path, input_format):
    from tests.reading.test_streaming import CountingFile, text_of

    path = tmp_path / f"a.{input_format}"
    path.write_text(text_of(input_format, 100_000))
    options = InputOptions(url_list=f"counting://{path}", input_format=input_format)
    specs = specs_by_place(open_reader(options, 1000))
    shard_reader = ShardReader(options)
    CountingFile.taken = 0
    assert shard_reader.read(specs[70]).rows.num_rows == 1000
    assert CountingFile.taken < path.stat().st_size / 90


def test_a_plan_ends_where_the_shards_of_another_list_begin(write):
    path = write("a.txt", "http://a\n" * 10)
    specs, error = given(open_reader(InputOptions(url_list=path), 2).plan(others={3}))
    assert [spec.shard_id for spec in specs] == [0, 1, 2]
    assert "shard 3" in error


def test_a_list_that_changes_while_it_is_counted_is_refused(write):
    path = write("a.txt", "http://a\n" * 10)
    plan = open_reader(InputOptions(url_list=path), 4).plan()
    next(plan)
    path.write_text("http://a\n" * 11)
    with pytest.raises(InputError, match="changed while it was being read"):
        list(plan)

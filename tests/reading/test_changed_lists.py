"""A list that is another one when a shard's rows are read than when they were counted: never wrong rows."""

from __future__ import annotations

import dataclasses
import os

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader, open_reader
from tests.reading.planned import specs_by_place

LISTS = {
    "txt": "http://a1\nhttp://b2\nhttp://c3\nhttp://d4\n",
    "csv": 'url,t\nhttp://a1,"x"\nhttp://b2,"y"\nhttp://c3,"z"\nhttp://d4,"z"\n',
    "tsv": "url\tt\nhttp://a1\tx\nhttp://b2\ty\nhttp://c3\tz\nhttp://d4\tz\n",
    "jsonl": '{"url": "http://a"}\n{"url": "http://b"}\n{"url": "http://c"}\n{"url": "http://d"}\n',
}


def write_parquet(path, rows, row_group_size, column="url"):
    table = pa.table({column: [f"http://{row}" for row in range(rows)]})
    pq.write_table(table, path, row_group_size=row_group_size)


def planned(path, input_format):
    options = InputOptions(url_list=str(path), input_format=input_format)
    return ShardReader(options), specs_by_place(open_reader(options, 2))


def refused(shard_reader, spec):
    with pytest.raises(InputError) as raised:
        shard_reader.read(spec)
    return str(raised.value)


@pytest.mark.parametrize("input_format", LISTS)
@pytest.mark.parametrize("change", ["longer", "newer", "gone"])
def test_a_file_that_is_another_one_is_named(write, input_format, change):
    path = write(f"a.{input_format}", LISTS[input_format])
    shard_reader, specs = planned(path, input_format)
    shard_reader.read(specs[0])
    if change == "longer":
        path.write_text(LISTS[input_format] * 2)
    elif change == "newer":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    message = refused(shard_reader, specs[1])
    assert str(path) in message
    assert ("cannot be read any more" if change == "gone" else "start again into another output") in message


@pytest.mark.parametrize("input_format", LISTS)
@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("c", "\n", "there are more rows"),
        ("\n", " ", "no line ends at byte"),
    ],
)
def test_a_text_of_the_same_size_and_time_whose_rows_lie_elsewhere_is_noticed(
    write, input_format, old, new, found
):
    path = write(f"a.{input_format}", LISTS[input_format])
    shard_reader, specs = planned(path, input_format)
    modified = path.stat().st_mtime
    before = specs[1].hint["bytes"][0] - 1
    text = LISTS[input_format]
    path.write_text(text[:before] + text[before:].replace(old, new, 1))
    os.utime(path, (modified, modified))
    message = refused(shard_reader, specs[1])
    assert f"{path}: rows 3 to 4 are not where they were" in message
    assert found in message
    assert "start again into another output folder" in message


def test_fewer_rows_than_were_counted_are_noticed_in_a_store_without_times():
    memory = fsspec.filesystem("memory")
    memory.pipe("/changed/a.txt", b"http://a1\nhttp://b2\nhttp://c3\nhttp://d4\n")
    try:
        shard_reader, specs = planned("memory://changed/a.txt", "txt")
        assert specs[0].file.modified is None
        memory.pipe("/changed/a.txt", b"http://a1\nhttp://b2\nhttp://c3/http://d4\n")
        assert "1 of the rows are missing" in refused(shard_reader, specs[1])
        assert shard_reader.read(specs[0]).rows.num_rows == 2
    finally:
        memory.rm("/changed", recursive=True)


class TouchingFileSystem(LocalFileSystem):
    """Has another write to a file while it is read."""

    protocol = "touching"

    def open(self, path, mode="rb", **options):
        opened = super().open(path, mode)
        os.utime(self._strip_protocol(path), (1, 1))
        return opened


@pytest.mark.parametrize("input_format", LISTS)
def test_a_file_that_changes_while_its_rows_are_read_is_noticed(write, input_format):
    fsspec.register_implementation("touching", TouchingFileSystem, clobber=True)
    path = write(f"a.{input_format}", LISTS[input_format])
    _, specs = planned(path, input_format)
    shard_reader = ShardReader(InputOptions(url_list=f"touching://{path}", input_format=input_format))
    assert "changed while it was being read" in refused(shard_reader, specs[0])


def test_a_quote_that_opens_over_the_end_of_a_shard_is_noticed(write):
    path = write("a.csv", LISTS["csv"])
    shard_reader, specs = planned(path, "csv")
    modified = path.stat().st_mtime
    path.write_text(LISTS["csv"].replace('"y"', '"y '))
    os.utime(path, (modified, modified))
    assert "quote is still open" in refused(shard_reader, specs[0])


@pytest.mark.parametrize(
    ("rows", "row_group_size", "column", "found"),
    [
        (9, 3, "url", "it has 9 rows"),
        (10, 10, "url", "row group"),
        (10, 4, "url", "row group"),
        (10, 3, "other", 'has no column "url"'),
    ],
)
def test_a_parquet_file_with_other_row_groups_is_noticed(tmp_path, rows, row_group_size, column, found):
    path = tmp_path / "a.parquet"
    write_parquet(path, 10, 3)
    _, specs = planned(path, "parquet")
    write_parquet(path, rows, row_group_size, column)
    # As if the file system told neither size nor time.
    status = path.stat()
    told = dataclasses.replace(specs[3].file, size=status.st_size, modified=status.st_mtime)
    reader = ShardReader(InputOptions(url_list=str(path), input_format="parquet"))
    message = refused(reader, dataclasses.replace(specs[3], file=told))
    assert str(path) in message
    assert column == "other" or "rows 7 to 8 are not where they were when the list was counted" in message
    assert found in message


def test_a_row_group_that_cannot_be_decoded_is_the_failure_of_its_shards(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path, 10, 5)
    content = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    content[begin : begin + 20] = b"\xff" * 20
    path.write_bytes(content)
    shard_reader, specs = planned(path, "parquet")
    # The third shard has rows of both.
    for spec in specs[2:]:
        assert f"{path} breaks off in row group 1" in refused(shard_reader, spec)
    assert shard_reader.read(specs[0]).rows.column("url").to_pylist() == ["http://0", "http://1"]

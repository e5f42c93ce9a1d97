"""Shards by place of lists in stores: in memory, behind another file system, in S3, on a web server."""

from __future__ import annotations

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader, open_reader
from tests.reading.planned import assert_planned_as_read, specs_by_place
from tests.storage.conftest import remote_folder, s3_server  # noqa: F401 - fixtures

ROWS = 300


def content_of(input_format, rows=ROWS):
    urls = [f"http://host/{row}" for row in range(rows)]
    if input_format == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"url": urls}), sink, row_group_size=rows // 10)
        return sink.getvalue().to_pybytes()
    header = "url\n" if input_format == "csv" else ""
    row = '{"url": "%s"}\n' if input_format == "jsonl" else "%s\n"
    return (header + "".join(row % url for url in urls)).encode()


@pytest.mark.parametrize("input_format", ["txt", "csv", "jsonl", "parquet"])
def test_a_list_in_a_store_is_read_by_place(remote_folder, input_format):  # noqa: F811
    file_system, path = fsspec.core.url_to_fs(remote_folder)
    for name in ("a", "b"):
        file_system.pipe(f"{path}/{name}.{input_format}", content_of(input_format))
    options = InputOptions(url_list=remote_folder, input_format=input_format)
    assert assert_planned_as_read(options, 70) == 2 * 5
    specs = specs_by_place(open_reader(options, 70))
    shard_reader = ShardReader(options)
    assert shard_reader.read(specs[6]).rows.num_rows == 70
    assert specs[6].file.path.endswith(f"/out/b.{input_format}")
    file_system.pipe(f"{path}/b.{input_format}", content_of(input_format) + b"\n")
    with pytest.raises(InputError, match=rf"b\.{input_format} changed"):
        shard_reader.read(specs[7])


@pytest.mark.parametrize("remote_folder", ["s3"], indirect=True)
def test_an_object_of_the_same_size_is_told_by_its_etag(remote_folder):  # noqa: F811
    file_system, path = fsspec.core.url_to_fs(remote_folder)
    file_system.pipe(f"{path}/a.txt", b"http://a\nhttp://b\n")
    options = InputOptions(url_list=f"{remote_folder}/a.txt")
    [spec] = specs_by_place(open_reader(options, 5))
    assert spec.file.modified_key == "ETag"
    file_system.pipe(f"{path}/a.txt", b"http://c\nhttp://d\n")
    with pytest.raises(InputError, match="changed"):
        ShardReader(options).read(spec)


def test_a_list_behind_another_file_system_is_read_by_place(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/chained/a.csv", content_of("csv"))
    try:
        options = InputOptions(url_list="simplecache::memory://chained/a.csv", input_format="csv")
        assert assert_planned_as_read(options, 70) == 5
    finally:
        memory.rm("/chained", recursive=True)


class CountedFile(AbstractBufferedFile):
    """A file of a store, of which the bytes that were sent are counted."""

    sent = 0

    def _fetch_range(self, start, end):
        content = self.fs.cat_file(self.path, start, end)
        CountedFile.sent += len(content)
        return content


class CountedStore(MemoryFileSystem):
    protocol = "counted"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("counted:"))

    def cat_file(self, path, start=None, end=None, **options):
        return self.store[path].getvalue()[start:end]

    def open(self, path, mode="rb", **options):
        return CountedFile(self, path, mode, size=self.size(path), **options)


@pytest.mark.parametrize("input_format", ["txt", "parquet"])
def test_a_store_sends_no_more_than_the_rows_of_a_shard(input_format):
    fsspec.register_implementation("counted", CountedStore, clobber=True)
    memory = fsspec.filesystem("memory")
    content = content_of(input_format, 100_000)
    memory.pipe(f"/sent/a.{input_format}", content)
    try:
        options = InputOptions(url_list=f"counted://sent/a.{input_format}", input_format=input_format)
        specs = specs_by_place(open_reader(options, 100))
        CountedFile.sent = 0
        assert ShardReader(options).read(specs[10]).rows.num_rows == 100
        assert 100 < CountedFile.sent < len(content) / 3
    finally:
        memory.rm("/sent", recursive=True)


@pytest.mark.parametrize("input_format", ["txt", "parquet"])
def test_a_server_that_sends_no_parts_has_its_list_given_out_as_rows(input_format, monkeypatch):
    pytest.importorskip("aiohttp")
    import http.server
    import threading

    content = content_of(input_format)

    class Whole(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Whole)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.{input_format}"
        options = InputOptions(url_list=url, input_format=input_format)
        assert assert_planned_as_read(options, 70) == 5
        assert {type(spec).__name__ for spec in open_reader(options, 70).plan()} == {"RowsSpec"}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

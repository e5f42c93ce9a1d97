"""The first shard comes before the list is read, and memory does not grow with the list."""

import gzip
import os
import subprocess
import sys
import threading

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from tests.own_peak import with_own_peak

ROWS = 300_000


class CountingFile:
    """A local file that counts the bytes taken from it."""

    taken = 0

    def __init__(self, path):
        self.file = open(path, "rb")  # noqa: SIM115 - closed by its reader

    def read(self, size=-1):
        data = self.file.read(size)
        CountingFile.taken += len(data)
        return data

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()


class CountingFileSystem(LocalFileSystem):
    protocol = "counting"

    def open(self, path, mode="rb", **options):
        return CountingFile(self._strip_protocol(path))


fsspec.register_implementation("counting", CountingFileSystem, clobber=True)


def text_of(input_format, count):
    urls = (f"http://host{i % 977}.example/image/{i:012}.jpg" for i in range(count))
    if input_format == "txt":
        return "".join(f"{url}\n" for url in urls)
    if input_format == "jsonl":
        return "".join(f'{{"id": {i}, "url": "{url}"}}\n' for i, url in enumerate(urls))
    separator = "\t" if input_format == "tsv" else ","
    return f"id{separator}url\n" + "".join(f"{i}{separator}{url}\n" for i, url in enumerate(urls))


def write_big_list(folder, input_format, count):
    path = folder / f"{count}.{input_format}"
    if input_format == "parquet":
        urls = [f"http://host{i % 977}.example/image/{i:012}.jpg" for i in range(count)]
        pq.write_table(pa.table({"id": range(count), "url": urls}), path, row_group_size=count)
    elif input_format.endswith(".gz"):
        path.write_bytes(gzip.compress(text_of(input_format[:-3], count).encode(), 1))
    else:
        path.write_text(text_of(input_format, count))
    return path


@pytest.mark.parametrize(
    "input_format", ["txt", "csv", "tsv", "jsonl", "parquet", "txt.gz", "csv.gz", "jsonl.gz"]
)
def test_the_first_shard_comes_before_the_file_is_read(tmp_path, reader, input_format):
    path = write_big_list(tmp_path, input_format, ROWS)
    opened = reader(f"counting://{path}", input_format, rows_per_shard=1000)
    CountingFile.taken = 0
    shards = opened.shards()
    assert next(shards).rows.num_rows == 1000
    # A gzip member of 300,000 such lines is about a megabyte, which is less than a block.
    assert CountingFile.taken < max(0.6 * path.stat().st_size, 0 if ".gz" not in input_format else 1 << 20)
    assert sum(shard.rows.num_rows for shard in shards) == ROWS - 1000


def test_a_list_through_a_pipe_hands_out_shards_before_its_end_and_can_be_read_again(tmp_path, reader):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    go_on = threading.Event()
    lines = [f"http://a/{i:08}\n" for i in range(200_000)]

    def give():
        with open(pipe, "w") as file:
            file.writelines(lines[:150_000])
            file.flush()
            assert go_on.wait(60)
            file.writelines(lines[150_000:])

    giver = threading.Thread(target=give)
    giver.start()
    try:
        opened = reader(pipe, "txt", rows_per_shard=50_000)
        shards = opened.shards()
        found = [next(shards)]
    finally:
        go_on.set()
    found += list(shards)
    giver.join(60)
    again = list(opened.shards())
    for passed in (found, again):
        assert [url for shard in passed for url in shard.rows.column("url").to_pylist()] == [
            line.strip() for line in lines
        ]


MEASURE = """
import resource, sys
from img2dataset.options import InputOptions
from img2dataset.reading import open_reader
import pyarrow
pyarrow.set_memory_pool(pyarrow.system_memory_pool())
options = InputOptions(url_list=sys.argv[1], input_format=sys.argv[2])
rows = sum(s.rows.num_rows for s in open_reader(options, 10_000).shards())
unit = 1024 if sys.platform == "linux" else 1 << 20
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)
"""


@pytest.mark.parametrize("input_format", ["txt", "csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_list(tmp_path, input_format):
    def peak(count):
        path = write_big_list(tmp_path, input_format, count)
        done = subprocess.run(
            with_own_peak([sys.executable, "-c", MEASURE, str(path), input_format]),
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        )
        rows, mebibytes = map(int, done.stdout.split())
        assert rows == count
        return mebibytes

    # 600,000 rows are 30 MB of text: held whole, as Python or Arrow values, they would take over 40.
    assert peak(600_000) - peak(20_000) < 25


def test_importing_the_room_imports_nothing_heavy():
    program = (
        "import sys, img2dataset.reading\n"
        "print([name for name in ('pyarrow', 'fsspec', 'numpy', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

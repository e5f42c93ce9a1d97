"""Finding a list, and saying in one line why it cannot be one."""

import gzip
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError, MissingDependency, OptionError


def urls(rows):
    return [row["url"] for row in rows]


def test_a_folder_gives_the_files_of_its_format_sorted_and_not_of_its_folders(write, rows, tmp_path):
    for name in ("b.csv", "a.csv", "_c.csv", "sub/d.csv", ".hidden.csv", "a.txt", "a.csv.bak"):
        write(f"lists/{name}", f"url\nhttp://{name}\n")
    write("lists/z.csv.gz", "url\nhttp://z\n")
    (tmp_path / "lists/folder.csv").mkdir()
    assert urls(rows(tmp_path / "lists", "csv")) == ["http://_c.csv", "http://a.csv", "http://b.csv"]
    assert urls(rows(f"{tmp_path}/lists/", "csv.gz")) == ["http://z"]


def test_a_pattern_gives_the_files_it_matches(write, rows, tmp_path):
    for name in ("part-2.list", "part-1.list", "other.list"):
        write(name, f"http://{name}\n")
    assert urls(rows(f"{tmp_path}/part-*.list", "txt")) == ["http://part-1.list", "http://part-2.list"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(write, rows):
    assert urls(rows(write("list[1].txt", "http://a\n"), "txt")) == ["http://a"]


def test_any_fsspec_file_system_is_read(rows):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/lists/b.csv", b"url\nhttp://b\n")
    memory.pipe("/lists/a.csv", b"url\nhttp://a\n")
    memory.pipe("/lists/a.csv.gz", gzip.compress(b"url\nhttp://z\n"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"url": ["http://p"]}), sink)
    memory.pipe("/lists/p.parquet", sink.getvalue().to_pybytes())
    try:
        assert urls(rows("memory://lists", "csv")) == ["http://a", "http://b"]
        assert urls(rows("memory://lists/*.csv", "csv")) == ["http://a", "http://b"]
        assert urls(rows("memory://lists/a.csv.gz", "csv.gz")) == ["http://z"]
        assert urls(rows("memory://lists", "parquet")) == ["http://p"]
    finally:
        memory.rm("/lists", recursive=True)


def test_files_are_described_for_a_fingerprint(write, reader):
    path = write("a.txt", "http://a\n")
    [file] = reader(path, "txt").files
    assert (file.path, file.size, file.modified) == (str(path), 9, path.stat().st_mtime)


@pytest.mark.parametrize(
    ("package", "path", "wanted"),
    [
        ("huggingface_hub", "hf://datasets/someone/something/a.parquet", "huggingface_hub"),
        ("s3fs", "s3://bucket/a.parquet", "'s3fs>=2024.2'"),
        ("gcsfs", "gs://bucket/a.parquet", "'gcsfs>=2024.2'"),
    ],
)
def test_a_missing_package_is_named_with_the_way_to_install_it(package, path, wanted):
    program = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from img2dataset.options import InputOptions\n"
        "from img2dataset.reading import open_reader\n"
        "from img2dataset.errors import MissingDependency\n"
        f"try: open_reader(InputOptions(url_list='{path}', input_format='parquet'), 10_000)\n"
        "except MissingDependency as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert path in done.stdout, done.stderr
    assert f"pip install {wanted}" in done.stdout


def test_an_unknown_file_system_is_named(shards):
    with pytest.raises((InputError, MissingDependency), match="zzz"):
        shards("zzz://a/b.csv", "csv")


PARQUET = pa.BufferOutputStream()
pq.write_table(pa.table({"url": ["http://a"]}), PARQUET)
PARQUET = PARQUET.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("input_format", "content", "reason"),
    [
        ("txt", PARQUET, "looks like a parquet file"),
        ("csv", PARQUET, "looks like a parquet file"),
        ("jsonl", PARQUET, "looks like a parquet file"),
        ("csv", gzip.compress(b"url\nhttp://a\n", mtime=0), "looks like gzip"),
        ("txt", b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        ("csv", b"\n<html>", "HTML"),
        ("json", b"<?xml version='1.0'?><Error/>", "HTML or XML"),
        ("txt", b'{"url": "http://a"}\n', "JSON"),
        ("csv", b'[{"url": "http://a"}]', "JSON"),
        ("jsonl", b'[{"url": "http://a"}]', "input_format json"),
        ("txt", bytes(range(256)) * 20, "binary"),
        ("csv.gz", b"url\nhttp://a\n", "use input_format csv"),
        ("csv.gz", gzip.compress(PARQUET, mtime=0), "looks like a parquet file"),
        ("parquet", b"url\nhttp://a\n", "looks like text"),
        ("parquet", b'{"url": "http://a"}', "JSON"),
        ("parquet", gzip.compress(b"url", mtime=0), "gzip"),
        ("parquet", b"", "an empty file"),
    ],
)
def test_a_list_of_another_format_is_refused_when_it_is_opened(
    tmp_path, reader, input_format, content, reason
):
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as raised:
        reader(path, input_format)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("input_format", "content"),
    [
        ("txt", b""),
        ("txt", b"\n\n \n"),
        ("csv", b""),
        ("csv", b"url\n"),
        ("csv", b"url\n\n\n"),
        ("tsv.gz", gzip.compress(b"", mtime=0)),
        ("json", b"[]"),
        ("jsonl", b"\n"),
    ],
)
def test_a_list_without_rows_is_a_warning_and_no_shards(tmp_path, reader, caplog, input_format, content):
    path = tmp_path / "list"
    path.write_bytes(content)
    assert list(reader(path, input_format).shards()) == []
    assert "has no rows" in caplog.text


def test_an_empty_file_among_others_is_nothing_wrong(write, shards, tmp_path):
    write("a.txt", "")
    write("b.txt", "http://b\n")
    assert [shard.shard_id for shard in shards(tmp_path, "txt")] == [0]


def test_a_missing_path_a_folder_without_files_and_an_unknown_format_are_named(tmp_path, reader):
    with pytest.raises(InputError, match=r"nowhere\.txt does not exist"):
        reader(tmp_path / "nowhere.txt", "txt")
    with pytest.raises(InputError, match=r"no file ending in \.csv"):
        reader(tmp_path, "csv")
    with pytest.raises(InputError, match="no file matches"):
        reader(f"{tmp_path}/*.csv", "csv")
    with pytest.raises(OptionError, match="--input_format is 'xlsx', which no installed package adds"):
        reader(tmp_path, "xlsx")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_named(write, reader):
    path = write("a.txt", "http://a\n")
    path.chmod(0)
    with pytest.raises(InputError, match=r"a\.txt cannot be opened: Permission denied"):
        reader(path, "txt")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,link\n1,http://a\n"),
        ("a.tsv", "id\tlink\n1\thttp://a\n"),
        ("a.jsonl", '{"id": 1, "link": "http://a"}\n'),
        ("a.json", '[{"id": 1, "link": "http://a"}]'),
    ],
)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url_col": "link", "caption_col": "url"},
        {"url_col": "link", "bbox_col": "url"},
        {"url_col": "link", "verify_hash": ("url", "md5")},
        {"url_col": "link", "save_additional_columns": ("url2",)},
    ],
    ids=lambda settings: next(reversed(settings), "url"),
)
def test_a_missing_column_names_the_columns_there_are(write, reader, name, content, settings):
    with pytest.raises(InputError, match=r'no column "url2?" \(.*\); its columns are: id, link'):
        reader(write(name, content), name[2:], **settings)


def test_a_missing_column_of_parquet_names_the_columns_there_are(tmp_path, reader):
    pq.write_table(pa.table({"id": [1], "link": ["http://a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r'no column "url" \(url_col\); its columns are: id, link'):
        reader(tmp_path, "parquet")


def test_a_later_file_without_the_column_is_found_before_the_run(write, reader, tmp_path):
    write("a.csv", "url\nhttp://a\n")
    write("b.csv", "link\nhttp://b\n")
    with pytest.raises(InputError, match=r'b\.csv has no column "url"'):
        reader(tmp_path, "csv")


def test_two_columns_of_one_name_are_refused(write, tmp_path, reader):
    with pytest.raises(InputError, match='2 columns named "url"'):
        reader(write("a.csv", "url,url\nhttp://a,http://b\n"), "csv")
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["url", "url"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match='2 columns named "url"'):
        reader(tmp_path / "a.parquet", "parquet")
    with pytest.raises(InputError, match='would be named "x"'):
        reader(write("b.csv", "url,x\nhttp://a,1\n"), "csv", save_additional_columns=("x", "x"))

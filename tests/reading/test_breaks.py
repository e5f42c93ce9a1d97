"""Lists that break off, change or disappear: the rows before it are used, and the error says so."""

import gzip
import os
import random

import pytest

from img2dataset.errors import InputError
from tests.reading.breaking import urls_before_error


def noisy_urls(count):
    noise = random.Random(1)
    return [f"http://a/{i}/{noise.getrandbits(200):x}" for i in range(count)]


@pytest.mark.parametrize("input_format", ["txt", "csv", "tsv", "jsonl"])
def test_rows_before_the_break_of_a_truncated_gzip_are_used(tmp_path, reader, input_format):
    urls = noisy_urls(60_000)
    text = {
        "txt": "\n".join(urls),
        "csv": "url\n" + "\n".join(urls),
        "tsv": "url\n" + "\n".join(urls),
        "jsonl": "\n".join(f'{{"url": "{url}"}}' for url in urls),
    }[input_format]
    path = tmp_path / f"a.{input_format}.gz"
    path.write_bytes(gzip.compress(text.encode())[:-700_000])
    found, message = urls_before_error(reader(path, f"{input_format}.gz", rows_per_shard=1000))
    assert len(found) > 30_000
    assert found == urls[: len(found)]
    assert f"{path} breaks off" in message


def test_a_damaged_gzip_is_an_error_that_names_the_file(tmp_path, reader):
    content = bytearray(gzip.compress("".join(f"{url}\n" for url in noisy_urls(60_000)).encode()))
    content[-4:] = b"\0\0\0\0"
    (tmp_path / "a.txt.gz").write_bytes(content)
    found, message = urls_before_error(reader(tmp_path / "a.txt.gz", "txt.gz"))
    assert len(found) == 60_000
    assert "a.txt.gz breaks off" in message


def test_gzip_in_several_members_is_one_list(tmp_path, rows):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"http://a\n") + gzip.compress(b"http://b\n"))
    assert [row["url"] for row in rows(tmp_path / "a.txt.gz", "txt.gz")] == ["http://a", "http://b"]


def test_nothing_is_read_of_the_files_after_a_break(write, reader, tmp_path):
    write("a.csv", "url\n" + "http://a\n" * 5 + '"open\n')
    write("b.csv", "url\nhttp://b\n")
    found, message = urls_before_error(reader(tmp_path, "csv", rows_per_shard=2))
    assert found == ["http://a"] * 5
    assert "a.csv" in message


def test_a_list_that_changes_between_passes_is_refused(write, reader):
    path = write("a.txt", "http://a\nhttp://b\n")
    opened = reader(path, "txt")
    assert len(list(opened.shards())) == 1
    path.write_text("http://a\n")
    with pytest.raises(InputError, match="changed while it was being read"):
        list(opened.shards())


def test_a_list_that_grows_while_it_is_read_is_noticed(write, reader):
    path = write("a.txt", "http://a\n" * 10)
    shards = reader(path, "txt", rows_per_shard=4).shards()
    next(shards)
    with path.open("a") as file:
        file.write("http://late\n")
    with pytest.raises(InputError, match="changed"):
        list(shards)


def test_a_list_that_disappears_between_passes_is_named(write, reader):
    path = write("a.txt", "http://a\n")
    opened = reader(path, "txt")
    os.unlink(path)
    with pytest.raises(InputError, match=r"a\.txt cannot be read any more"):
        list(opened.shards())


def test_a_list_in_a_store_that_changes_is_refused(reader):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/changing/a.txt", b"http://a\n")
    try:
        opened = reader("memory://changing/a.txt", "txt")
        assert len(list(opened.shards())) == 1
        memory.pipe("/changing/a.txt", b"http://a\nhttp://b\n")
        with pytest.raises(InputError, match="changed"):
            list(opened.shards())
    finally:
        memory.rm("/changing", recursive=True)

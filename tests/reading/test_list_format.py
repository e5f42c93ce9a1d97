"""A list format is one file, in this package or in another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from img2dataset.errors import InputError, OptionError
from img2dataset.options import help_page, option_specs, resolve
from img2dataset.plugins import LISTS
from img2dataset.reading import format_of_path, read_table
from img2dataset.reading.list_format import ListFormat, list_format

SPACED = """
from img2dataset.reading.list_format import RecordFormat
from img2dataset.reading.text import text_lines


class Spaced(RecordFormat):
    compressible = True

    def records(self, file, options):
        for line in text_lines(file, options):
            url, _, caption = line.partition(" ")
            if url == "STOP":
                raise KeyError("no such key")
            yield None if url == "BAD" else {"url": url, "caption": caption}
"""
ENTRY = f"[{LISTS}]\nspaced = spaced:Spaced\n"
LINES = "http://a/1 a cat\n\nBAD\nhttp://a/2 a dog\n"


@pytest.mark.parametrize("name", option_specs()["input_format"].choices)
def test_each_built_in_name_has_its_format(name):
    assert isinstance(list_format(name), ListFormat)


def test_every_text_format_may_be_compressed_and_parquet_not():
    compressible = {name for name in option_specs()["input_format"].choices if list_format(name).compressible}
    assert compressible == {"txt", "csv", "tsv", "json", "jsonl"}
    with pytest.raises(OptionError, match=r"'parquet.gz'; parquet lists are not .* --input_format parquet"):
        list_format("parquet.gz")


@pytest.mark.parametrize("input_format", ["spaced", "spaced.gz"])
def test_a_format_of_another_package_reads_lists(install, write, rows, input_format):
    install("spaced", SPACED, ENTRY)
    options = resolve({"url_list": "l", "input_format": input_format, "caption_col": "caption"})
    found = rows(write(f"a.{input_format}", LINES), options.input_format, caption_col=options.caption_col)
    assert found == [
        {"caption": "a cat", "url": "http://a/1"},
        {"caption": None, "url": None},
        {"caption": "a dog", "url": "http://a/2"},
    ]


def test_its_rows_are_counted_into_shards_and_those_that_are_no_rows_say_so(install, write, reader):
    install("spaced", SPACED, ENTRY)
    opened = reader(write("a.spaced", LINES), "spaced", rows_per_shard=2)
    first, second = opened.shards()
    assert {index: str(reason) for index, reason in first.invalid_urls.items()} == {
        1: "invalid row: not a JSON object"
    }
    assert [shard.rows.num_rows for shard in (first, second)] == [2, 1]
    assert [shard.shard_id for shard in opened.shards(skip={0})] == [1]


@pytest.mark.parametrize("name", option_specs()["input_format"].choices)
def test_each_built_in_format_can_be_read_as_a_table(name):
    assert type(list_format(name)).table is not ListFormat.table


def test_its_lists_are_tables_too_with_all_their_columns(install, write):
    install("spaced", SPACED, ENTRY)
    path = str(write("a.spaced", LINES))
    assert format_of_path(path) == "spaced"
    assert read_table(path, "spaced").to_pylist() == [
        {"url": "http://a/1", "caption": "a cat"},
        {"url": None, "caption": None},
        {"url": "http://a/2", "caption": "a dog"},
    ]
    with pytest.raises(InputError, match=r"b\.spaced cannot be read as spaced: KeyError: 'no such key'"):
        read_table(str(write("b.spaced", "STOP")), "spaced")


def test_a_format_that_can_only_be_streamed_says_so(install, write):
    streamed = """
from img2dataset.reading.list_format import ListFormat
class Streamed(ListFormat):
    def source(self, file, options, columns, warnings): raise NotImplementedError
"""
    install("streamed", streamed, f"[{LISTS}]\nstreamed = streamed:Streamed\n")
    with pytest.raises(InputError, match=r"a\.streamed: rows of streamed lists .* parquet"):
        read_table(str(write("a.streamed", "x")), "streamed")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/a.csv/list.tsv.gz", "tsv.gz"),
        ("s3://bucket/A.JSONL", "jsonl"),
        ("list.ndjson", "jsonl"),
        ("list.pq", "parquet"),
        ("urls.of.2024.txt", "txt"),
        ("list", None),
        ("csv", None),
        ("list.docx", None),
    ],
)
def test_the_end_of_a_name_says_the_format(path, told):
    assert format_of_path(path) == told


def test_a_bug_of_a_format_ends_the_list_and_not_quietly(install, write, reader):
    install("spaced", SPACED, ENTRY)
    lines = "".join(f"http://a/{i} x\n" for i in range(1500))
    opened = reader(write("a.spaced", lines + "STOP\n"), "spaced")
    with pytest.raises(InputError, match=r"a\.spaced cannot be read as spaced: KeyError: 'no such key'"):
        list(opened.shards())


def test_what_is_no_list_format_is_named(install):
    install("odd", "class Odd: pass\n", f"[{LISTS}]\nodd = odd:Odd\n")
    with pytest.raises(OptionError, match=r"'odd' is of the package odd.*, whose Odd is no ListFormat"):
        list_format("odd")


def test_a_name_that_there_is_not_is_told_with_those_there_are(install):
    install("spaced", SPACED, ENTRY)
    with pytest.raises(OptionError, match=r"it takes csv, json, jsonl, parquet, tsv, txt, spaced, with \.gz"):
        resolve({"url_list": "l", "input_format": "spacde"})
    assert "spaced" in help_page(everything=True)


def test_the_command_line_takes_it(install, write, tmp_path):
    install("spaced", SPACED, ENTRY)
    path = write("a.spaced", "data:, a cat\n")
    words = ["--url_list", str(path), "--input_format", "spaced", "--caption_col", "caption"]
    words += ["--output_folder", str(tmp_path / "out"), "--processes_count", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "img2dataset", *words], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert (Path(tmp_path) / "out" / "00000_stats.json").exists()

"""A user's mistake gets one clear line and an exit status, and leaves nothing half-written."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.program.runs import COMMAND, run


def expect_refusal(exit_status: int, *parts: str, **options: Any) -> None:
    result = run(**options)
    assert result.returncode == exit_status, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("img2dataset: ")
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"image_sise": 1}, ["--image_sise", "--image_size"]),
        ({"image_size": "big"}, ["--image_size", "'big'", "whole number"]),
        ({"image_size": 0}, ["--image_size", "0", "1"]),
        ({"resize_mode": "stretch"}, ["--resize_mode", "'stretch'", "keep_ratio"]),
        ({"encode_format": "png", "encode_quality": 10}, ["--encode_quality", "10", "0 to 9"]),
        ({"encode_quality": "high"}, ["--encode_quality", "'high'", "whole number"]),
        ({"number_sample_per_shard": 0}, ["--number_sample_per_shard", "0"]),
        ({"compute_hash": "crc"}, ["--compute_hash", "'crc'", "sha256"]),
        ({"verify_hash": '["md5","md5"]'}, ["--verify_hash", "--compute_hash"]),
        ({"verify_hash": '["md5"]'}, ["--verify_hash", "column"]),
        ({"save_additional_columns": '["url"]'}, ["--save_additional_columns", "'url'"]),
        ({"input_format": "xml"}, ["--input_format", "'xml'", "parquet"]),
        ({"output_format": "zip"}, ["--output_format", "'zip'", "webdataset"]),
        ({"timeout": -1}, ["--timeout", "-1"]),
        ({"timeout": "nan"}, ["--timeout", "nan"]),
        ({"distributor": "spark"}, ["--distributor", "'spark'", "pyspark"]),
        (
            {"distributor": "ray", "distributor_config": "num_cpus"},
            ["--distributor_config", "'num_cpus'", "key=value"],
        ),
        (
            {"distributor": "pyspark", "distributor_config": '["spark.ui.enabled=true","=4g"]'},
            ["--distributor_config", "''", "key=value"],
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_what_is_allowed(
    options: dict[str, Any], parts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    expect_refusal(2, *parts, url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_no_list_is_said() -> None:
    expect_refusal(2, "--url_list", "required", output_folder="out")


def test_a_word_that_cannot_be_the_option_of_its_place_is_said() -> None:
    # What a shell makes of --url_list *.txt without quotes.
    result = subprocess.run([COMMAND, "--url_list", "a.txt", "b.txt"], capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "'b.txt' stands alone" in line
    assert "--image_size" in line


def test_a_list_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "empty_folder").mkdir()
    pq.write_table(pa.table({"link": ["http://a"], "text": ["b"]}), tmp_path / "list.parquet")
    (tmp_path / "twice.csv").write_text("url,url\nhttp://a,http://b\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"url\nhttp://a\n")[:-12])
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    cases: list[tuple[str, str, list[str]]] = [
        ("absent.txt", "txt", ["absent.txt"]),
        ("empty_folder", "txt", ["empty_folder", ".txt"]),
        ("list.parquet", "parquet", ['"url"', "link", "text"]),
        ("list.parquet", "txt", ["list.parquet", "parquet"]),
        ("empty.txt", "parquet", ["empty.txt", "parquet"]),
        ("twice.csv", "csv", ["url", "twice.csv"]),
        ("twice.csv", "csv.gz", ["twice.csv", "gz"]),
        ("picture.txt", "txt", ["picture.txt"]),
    ]
    for name, input_format, parts in cases:
        expect_refusal(
            1,
            *parts,
            url_list=tmp_path / name,
            input_format=input_format,
            output_folder=tmp_path / "out",
        )
        assert not (tmp_path / "out").exists(), name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    (tmp_path / "locked").mkdir(mode=0o500)
    expect_refusal(1, "locked", url_list=tmp_path / "list.txt", output_folder=tmp_path / "locked" / "out")


def test_an_output_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        expect_refusal(1, str(folder), url_list=tmp_path / "list.txt", output_folder=folder)


def test_overwrite_does_not_delete_the_list_it_is_to_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/list.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    expect_refusal(
        1,
        "list.txt",
        url_list=tmp_path / "out/list.txt",
        output_folder=tmp_path / "out",
        incremental_mode="overwrite",
    )
    assert (tmp_path / "out/list.txt").exists()


@pytest.mark.parametrize("word", ["--help", "--help_all", "--version"])
def test_help_and_version_go_to_standard_output(word: str) -> None:
    result = subprocess.run([COMMAND, word], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("words", [["--help"], ["--help_all"], ["verify", "--help"]])
def test_help_fits_80_columns(words: list[str]) -> None:
    lines = subprocess.run([COMMAND, *words], capture_output=True, text=True).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 60 or "--help_all" in words


def test_a_mistake_fits_the_terminal_that_it_is_shown_on(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [COMMAND, "--url_list", "a", "--resize_mode", "stretch"]
    subprocess.run(command, stderr=theirs, env=os.environ | {"COLUMNS": "80"})
    os.close(theirs)
    shown = b""
    # What was written may come in parts; an error says that nobody can write any more.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    lines = shown.decode().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    assert "--resize_mode is 'stretch'" in lines[0]

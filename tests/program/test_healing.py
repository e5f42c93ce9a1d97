"""A damaged shard is healed by what ``verify`` prints, typed as it stands, whatever made the folder."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import photograph
from tests.program.runs import COMMAND, read_dataset, run, run_here, serve_photographs
from tests.servers import ImageServer

ROWS_PER_SHARD = 10


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": tmp_path / "a list.csv",
        "input_format": "csv",
        "caption_col": "caption",
        "save_additional_columns": '["note"]',
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "image_size": 64,
    }


def rows_of(server: ImageServer, begin: int, end: int) -> list[str]:
    addresses = serve_photographs(server, 4)
    dead = server.url("/status/404")
    return [f"{dead if n % 9 == 4 else addresses[n % 4]}?{n},caption {n},{n}" for n in range(begin, end)]


def write(path: Path, rows: list[str]) -> None:
    path.write_text("".join(f"{row}\n" for row in ["url,caption,note", *rows]))


def make(kind: str, options: dict[str, Any], server: ImageServer) -> list[str]:
    """Make a folder in one of the ways there are; returns the rows that are to be in it."""
    first, second = rows_of(server, 0, 25), rows_of(server, 25, 60)
    write(options["url_list"], first)
    assert run_here(**options).returncode == 0
    if kind == "one list":
        return first
    if kind == "extended":
        other = options["url_list"].with_name("b.csv")
        write(other, second)
        assert run_here(**{**options, "url_list": other, "incremental_mode": "extend"}).returncode == 0
    else:
        write(options["url_list"], first + second)
        assert run_here(**options, incremental_mode="new_only").returncode == 0
    return first + second


def verify(options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "verify", str(options["output_folder"])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def type_what_is_printed(report: str) -> None:
    _, _, commands = report.partition("to mend it:\n")
    typed = [shlex.split(line) for line in commands.splitlines()]
    assert typed
    environment = {**os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}"}
    for words in typed:
        removes = words[1] == "verify"
        done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == (1 if removes else 0), done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["one list", "extended", "grown"])
def test_the_printed_commands_heal_the_folder(
    kind: str, options: dict[str, Any], image_server: ImageServer
) -> None:
    expected = make(kind, options, image_server)
    output = options["output_folder"]
    before = read_dataset(output)
    damaged = ["00000", "00002"] if kind == "one list" else ["00001", "00002", "00004"]
    for shard in damaged:
        tar = output / f"{shard}.tar"
        tar.write_bytes(tar.read_bytes()[:-2000])
    report = verify(options)
    assert report.returncode == 1
    type_what_is_printed(report.stdout)
    assert verify(options).returncode == 0, verify(options).stdout
    after = read_dataset(output)
    assert Counter(f"{row['url']},{row['caption']},{row['note']}" for row in after.rows) == Counter(expected)
    assert sorted(after.statistics) == sorted(before.statistics)


def test_failed_rows_of_a_list_that_grew_do_not_come_again(
    options: dict[str, Any], image_server: ImageServer
) -> None:
    make("grown", options, image_server)
    before = read_dataset(options["output_folder"])
    for _ in range(2):
        again = run_here(**options, incremental_mode="new_only")
        assert again.returncode == 0, again.stderr
    assert read_dataset(options["output_folder"]).rows == before.rows


@pytest.mark.parametrize("mode", ["extend", "new_only"])
def test_a_list_that_was_interrupted_does_not_take_the_shards_of_a_later_one_for_its_own(
    mode: str, options: dict[str, Any], image_server: ImageServer
) -> None:
    first, second = rows_of(image_server, 0, 45), rows_of(image_server, 45, 80)
    write(options["url_list"], first)
    # No shard of 10 images fits: the record says that the run did not come to its end.
    full = run(**options, largest_file=20_000, max_shard_retry=0)
    assert full.returncode == 1
    other = options["url_list"].with_name("b.csv")
    write(other, second)
    assert run_here(**{**options, "url_list": other, "incremental_mode": mode}).returncode == 0
    refused = run_here(**options)
    assert refused.returncode == 1
    assert "is of a later run with another list; --incremental_mode new_only adds" in refused.stdout
    assert run_here(**options, incremental_mode="new_only").returncode == 0
    rows = Counter(row["url"] for row in read_dataset(options["output_folder"]).rows)
    assert rows == Counter(line.split(",")[0] for line in first + second)


def test_failed_rows_of_a_list_that_grew_are_taken_again_in_their_place(
    options: dict[str, Any], image_server: ImageServer
) -> None:
    """The grown list does not tell which row is in which shard; the folder does."""
    make("grown", options, image_server)
    for name in ("shop", "museum"):  # two new shards, with rows that fail until the server is well again
        image_server.put(f"/{name}.jpg", b"busy", status=500)
    rows = options["url_list"].read_text().splitlines()[1:]
    rows[3:3] = [f"{image_server.url('/shop.jpg')}?{n},s,{n}" for n in range(12)]
    rows += [f"{image_server.url('/museum.jpg')}?{n},m,{n}" for n in range(5)]
    write(options["url_list"], rows)
    assert run_here(**options, incremental_mode="new_only").returncode == 0
    before = read_dataset(options["output_folder"])
    for name in ("shop", "museum"):
        image_server.put(f"/{name}.jpg", photograph(90, 70))
    result = run_here(**options, incremental_mode="retry_failed")
    assert result.returncode == 0, result.stderr
    assert "17 more rows succeeded" in result.stdout
    after = read_dataset(options["output_folder"])
    assert [row["url"] for row in after.rows] == [row["url"] for row in before.rows]
    assert [row["note"] for row in after.rows] == [row["note"] for row in before.rows]
    assert after.failures() == {"HTTP 404": before.failures()["HTTP 404"]}
    assert {key: after.images[key] for key in before.images} == before.images

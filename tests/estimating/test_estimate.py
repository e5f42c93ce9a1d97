"""``img2dataset estimate``: against the truth of whole runs, real servers, and wrong words."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.estimating.sampled_list import SampledList, sample_list
from img2dataset.estimating.trial import Trial, download_sample
from img2dataset.options import InputOptions, Options, resolve
from img2dataset.stopping import StopRequest
from tests.pictures import photograph
from tests.program.runs import COMMAND, run, serve_photographs, words
from tests.servers import ImageServer

ROWS = 1200


def estimated(
    *command: str, environment: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "estimate", *command, *words(options)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(environment or {})},
    )


def write_rows(path: Path, server: ImageServer, rows: int = ROWS) -> Path:
    """A csv list of which about two thirds succeed."""
    addresses = serve_photographs(server)
    missing = addresses[0].rpartition("/")[0] + "-gone"
    small = server.put("/small.png", b"not an image at all")
    chance = random.Random(5)
    urls = []
    for number in range(rows):
        place = chance.random()
        base = addresses[number % len(addresses)] if place < 0.66 else missing if place < 0.92 else small
        urls.append(f"{base}?{number}")
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["url", "caption", "id"])
        writer.writerows([url, f"caption {number}", number] for number, url in enumerate(urls))
    return path


def test_the_truth_of_the_whole_run_lies_in_the_intervals(image_server: ImageServer, tmp_path: Path) -> None:
    options = {
        "url_list": write_rows(tmp_path / "list.csv", image_server),
        "input_format": "csv",
        "caption_col": "caption",
        "save_additional_columns": "[id]",
        "output_format": "webdataset",
        "output_folder": tmp_path / "out",
        "image_size": 64,
        "processes_count": 2,
    }
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = estimated("--sample_rows", "300", "--json", environment={"TMPDIR": str(temporary)}, **options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not list(temporary.iterdir())
    assert not (tmp_path / "out").exists()
    assert run(**options).returncode == 0
    rows = [
        row
        for path in sorted((tmp_path / "out").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert (found["rows_of_list"], len(rows)) == (ROWS, ROWS)
    truth = sum(row["status"] == "success" for row in rows) / ROWS
    low, high = found["success_interval"]
    assert low <= truth <= high
    assert high - low < 0.2
    failures = {failure["message"]: failure for failure in found["failures"]}
    for message in ("HTTP 404", "decode: not an image"):
        low, high = failures[message]["interval"]
        assert low <= sum(row["error_message"] == message for row in rows) / ROWS <= high
    stored = sum(path.stat().st_size for path in (tmp_path / "out").glob("0*"))
    # A short sample has the ends of as many shards as a long run.
    assert 0.85 * stored < found["bytes_out"] < 1.25 * stored
    assert [host["host"] for host in found["hosts"]] == ["127.0.0.1"]
    assert found["rate_seen"] > 0
    assert found["cpu_ms_per_row"] > 0
    assert 0 < found["hours"][0] <= found["hours"][1]


def test_bytes_in_are_those_of_the_bodies(image_server: ImageServer, tmp_path: Path) -> None:
    body = os.urandom(5000)
    address = image_server.put("/noise.bin", body)
    (tmp_path / "list.txt").write_text("".join(f"{address}?{n}\n" for n in range(50)))
    done = estimated("--json", url_list=tmp_path / "list.txt", output_format="dummy", processes_count=1)
    found = json.loads(done.stdout)
    assert found["bytes_in"] == 50 * 5000
    assert (found["successes"], found["rows_of_sample"]) == (0, 50)


def options_for(url_list: Any, tmp_path: Path, **more: Any) -> Options:
    return resolve(
        {"url_list": url_list, "output_folder": str(tmp_path / "out"), "processes_count": 1, **more}
    )


def trial_of(options: Options, rows: pa.Table) -> Trial:
    count = rows.num_rows
    trial = download_sample(options, SampledList(rows, [0] * count, count, "whole"), StopRequest())
    assert trial is not None
    return trial


def test_the_options_of_the_run_hold_for_the_sample(image_server: ImageServer, tmp_path: Path) -> None:
    addresses = serve_photographs(image_server, 4)
    right = hashlib.md5(photograph(160, 120, seed=0)).hexdigest()
    other = hashlib.md5(photograph(208, 160, seed=2)).hexdigest()
    rows = [
        {"address": addresses[0], "text": "a", "sum": right, "boxes": [[0.1, 0.1, 0.5, 0.5]], "id": 1},
        {"address": addresses[1], "text": "b", "sum": "0" * 32, "boxes": [], "id": 2},
        {"address": addresses[2], "text": "c", "sum": other, "boxes": [[0.5, 0.5, 0.1, 0.1]], "id": 3},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    options = options_for(
        str(tmp_path / "list.parquet"),
        tmp_path,
        input_format="parquet",
        url_col="address",
        caption_col="text",
        bbox_col="boxes",
        verify_hash=["sum", "md5"],
        compute_hash="md5",
        save_additional_columns=["id"],
        output_format="parquet",
        distributor="ranks",
        rank=1,
        world_size=2,
        incremental_mode="retry_failed",
    )
    sampled = sample_list(options.part(InputOptions), 10, 0)
    trial = download_sample(options, sampled, StopRequest())
    assert trial is not None
    assert trial.facts.messages == {"success": 1, "hash mismatch": 1, "invalid bbox": 1}
    assert trial.succeeded == [True, False, False]
    filtered = options_for([], tmp_path, min_image_size=5000)
    assert trial_of(filtered, pa.table({"url": addresses})).facts.messages == {"image too small": 4}


def test_what_the_user_has_is_left_alone(image_server: ImageServer, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    addresses = serve_photographs(image_server, 4)
    (tmp_path / "list.txt").write_text("\n".join(addresses))
    done = estimated(
        str(tmp_path / "list.txt"), "--output_folder", str(out), "--incremental_mode", "overwrite"
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert "success: 100.0%" in done.stdout


def test_a_stop_leaves_nothing(image_server: ImageServer, tmp_path: Path) -> None:
    address = image_server.put("/slow.jpg", b"x" * 1000)
    (tmp_path / "list.txt").write_text("".join(f"{address}?{n}\n" for n in range(100_000)))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [
            COMMAND,
            "estimate",
            str(tmp_path / "list.txt"),
            "--sample_rows=100000",
            f"--spool_folder={temporary}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(temporary.glob("img2dataset-estimate-*/.img2dataset_runs/log/*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.endswith("img2dataset: stopped; nothing is left of the sample\n")
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("given", "status", "part"),
    [
        (["--sample_rows", "0"], 2, "--sample_rows is '0'; it takes a whole number from 1"),
        (["--sample_rows", "many"], 2, "--sample_rows is 'many'"),
        (["--seed=-1"], 2, "--seed is '-1'"),
        (["--seed"], 2, "--seed needs a number"),
        (["--image_sise", "3"], 2, "(did you mean --image_size?); img2dataset estimate --help"),
        (["--sample_row", "3"], 2, "(did you mean --sample_rows?); img2dataset estimate --help"),
        (["--image_size", "x"], 2, "image_size"),
        (["--input_format", "csv"], 1, 'has no column "url"'),
        (["--spool_folder", "/no/such/folder"], 1, "--spool_folder"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line(tmp_path: Path, given: list[str], status: int, part: str) -> None:
    (tmp_path / "list").write_text("address,caption\nhttp://127.0.0.1:9/a.jpg,b\n")
    done = estimated(str(tmp_path / "list"), *given)
    assert (done.returncode, done.stdout) == (status, "")
    assert part in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("img2dataset: ")


def test_a_list_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = estimated(str(tmp_path / "none.txt"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_help_is_a_page() -> None:
    for given in ([], ["--help"], ["list.txt", "-h"]):
        done = estimated(*given)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: img2dataset estimate LIST")
        assert max(map(len, done.stdout.splitlines())) <= 80

"""Rows whose failure can pass are retried in place; what was there stays, bit for bit."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.pictures import photograph
from tests.program.runs import read_dataset, run_here, start
from tests.servers import ImageServer

ROWS = 40


def a_list(server: ImageServer, path: Path, name: str, failures: int = 1) -> Path:
    """Every fourth row fails so often with 503, another fourth for ever with 404."""
    good = server.put(f"/retry/{name}.jpg", photograph(200, 150))
    urls = []
    for n in range(ROWS):
        if n % 4 == 1:
            urls.append(server.url(f"/flaky/{name}-{n}?fail={failures}&then=/retry/{name}.jpg"))
        elif n % 4 == 2:
            urls.append(server.url(f"/status/404?{n}"))
        else:
            urls.append(f"{good}?{n}")
    path.write_text("\n".join(urls))
    return path


def options_for(output_format: str, folder: Path, url_list: Path) -> dict[str, Any]:
    return {
        "url_list": url_list,
        "output_folder": folder,
        "output_format": output_format,
        "number_sample_per_shard": 10,
        "processes_count": 2,
        "image_size": 64,
    }


@pytest.mark.parametrize("output_format", ["webdataset", "files"])
def test_failures_that_can_pass_are_taken_again_and_everything_else_stays(
    output_format: str, image_server: ImageServer, tmp_path: Path
) -> None:
    options = options_for(
        output_format, tmp_path / "out", a_list(image_server, tmp_path / "l.txt", output_format)
    )
    assert run_here(**options).returncode == 0
    before = read_dataset(tmp_path / "out")
    assert before.statuses() == {"success": 20, "failed_to_download": 20}
    asked = image_server.count("/status/404")

    result = run_here(**options, incremental_mode="retry_failed")
    assert result.returncode == 0, result.stderr
    assert "10 more rows succeeded" in result.stdout
    assert "of these rows 10 were tried now; 30 are as an earlier run left them" in result.stdout
    after = read_dataset(tmp_path / "out")
    assert after.statuses() == {"success": 30, "failed_to_download": 10}
    assert after.failures() == {"HTTP 404": 10}
    assert image_server.count("/status/404") == asked
    assert [row["key"] for row in after.rows] == [row["key"] for row in before.rows]
    for key, image in before.images.items():
        assert after.images[key] == image
        assert after.documents[key] == before.documents[key]

    again = run_here(**options, incremental_mode="retry_failed")
    assert "4 shards already done" in again.stdout


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_the_other_formats_are_rewritten_too(
    output_format: str, image_server: ImageServer, tmp_path: Path
) -> None:
    options = options_for(
        output_format, tmp_path / "out", a_list(image_server, tmp_path / "l.txt", output_format)
    )
    assert run_here(**options).returncode == 0
    assert run_here(**options, incremental_mode="retry_failed").returncode == 0
    rows = [
        row
        for path in sorted((tmp_path / "out").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert sum(row["status"] == "success" for row in rows) == 30
    assert len(rows) == ROWS
    if output_format == "parquet":
        for row in rows:
            if row["status"] == "success":
                assert Image.open(io.BytesIO(row["jpg"])).size == (64, 64)


def test_classes_of_failures_can_be_chosen(image_server: ImageServer, tmp_path: Path) -> None:
    options = options_for("webdataset", tmp_path / "out", a_list(image_server, tmp_path / "l.txt", "classes"))
    assert run_here(**options).returncode == 0
    asked = image_server.count("/status/404")
    chosen = run_here(**options, incremental_mode="retry_failed", retry_classes='["HTTP 404"]')
    assert chosen.returncode == 0
    assert image_server.count("/status/404") == asked + 10
    assert read_dataset(tmp_path / "out").failures() == {"HTTP 404": 10, "HTTP 503": 10}


def test_shards_that_are_missing_are_made_on_the_way(image_server: ImageServer, tmp_path: Path) -> None:
    options = options_for("webdataset", tmp_path / "out", a_list(image_server, tmp_path / "l.txt", "missing"))
    assert run_here(**options).returncode == 0
    (tmp_path / "out/00002_stats.json").unlink()
    assert run_here(**options, incremental_mode="retry_failed").returncode == 0
    assert read_dataset(tmp_path / "out").statuses() == {"success": 30, "failed_to_download": 10}


def test_a_run_killed_while_it_takes_rows_again_loses_nothing(
    image_server: ImageServer, tmp_path: Path
) -> None:
    url_list = a_list(image_server, tmp_path / "l.txt", "killed")
    options = options_for("webdataset", tmp_path / "out", url_list)
    assert run_here(**options).returncode == 0
    before = read_dataset(tmp_path / "out")
    for pause_s in (0.5, 0.8, 1.1, 1.4):
        process = start(**options, incremental_mode="retry_failed")
        time.sleep(pause_s)
        process.kill()
        process.communicate()
    assert run_here(**options, incremental_mode="retry_failed").returncode == 0
    after = read_dataset(tmp_path / "out")
    assert after.statuses() == {"success": 30, "failed_to_download": 10}
    for key, image in before.images.items():
        assert after.images[key] == image


def test_a_list_that_grew_gives_its_new_rows(image_server: ImageServer, tmp_path: Path) -> None:
    good = image_server.put("/new-only/a.jpg", photograph(200, 150))
    url_list = tmp_path / "l.txt"
    options = options_for("webdataset", tmp_path / "out", url_list)
    dead = image_server.url("/status/410")
    url_list.write_text("\n".join([*(f"{good}?{n}" for n in range(14)), dead]))
    assert run_here(**options).returncode == 0
    url_list.write_text("\n".join([*(f"{good}?{n}" for n in range(7, 37)), dead]))

    result = run_here(**options, incremental_mode="new_only")
    assert result.returncode == 0, result.stderr
    assert "8 rows of the list were there already" in result.stdout
    dataset = read_dataset(tmp_path / "out")
    assert sorted(dataset.statistics) == ["00000", "00001", "00002", "00003", "00004"]
    urls = [row["url"] for row in dataset.rows if row["status"] == "success"]
    assert sorted(urls) == sorted(f"{good}?{n}" for n in range(37))
    assert [row["url"] for row in dataset.rows].count(dead) == 1

    again = run_here(**options, incremental_mode="new_only")
    assert "31 rows of the list were there already" in again.stdout
    refused = run_here(**options | {"image_size": 32}, incremental_mode="new_only")
    assert refused.returncode == 1
    assert "--image_size was 64 and is 32" in refused.stderr

"""Two datasets are never mixed in one folder without a word."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer


@pytest.fixture
def addresses(image_server: ImageServer) -> list[str]:
    return serve_photographs(image_server, 4)


@pytest.fixture
def options(addresses: list[str], tmp_path: Path) -> dict[str, Any]:
    """A finished run over 30 rows."""
    options = {
        "url_list": write_list(tmp_path / "list.txt", addresses, 30),
        "output_folder": tmp_path / "out",
        "number_sample_per_shard": 10,
        "processes_count": 1,
    }
    assert run(**options).returncode == 0
    return options


def refused(**options: Any) -> str:
    result = run(**options)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.mark.parametrize(
    "changed", [{"number_sample_per_shard": 20}, {"image_size": 64}, {"output_format": "webdataset"}]
)
def test_other_options_are_refused_by_name(options: dict[str, Any], changed: dict[str, Any]) -> None:
    message = refused(**options | changed)
    for name, value in changed.items():
        assert f"--{name} was " in message
        assert f"is {value!r}" in message
    assert "--allow_mixing" in message
    assert read_dataset(options["output_folder"]).statuses() == {"success": 30}


def test_another_list_is_refused(options: dict[str, Any], addresses: list[str], tmp_path: Path) -> None:
    write_list(options["url_list"], addresses, 31)
    assert "list.txt had" in refused(**options)
    other = write_list(tmp_path / "other.txt", addresses, 30)
    assert "was list.txt and is other.txt" in refused(**options | {"url_list": other})


def test_options_that_do_not_shape_the_output_may_change(options: dict[str, Any]) -> None:
    assert (
        run(**options | {"timeout": 3, "retries": 2, "thread_count": 8, "processes_count": 2}).returncode == 0
    )


def test_a_copy_of_the_list_is_the_same_list(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere/list.txt"
    shutil.copy(options["url_list"], copy)
    os.utime(copy, (1, 1))
    assert run(**options | {"url_list": copy}).returncode == 0


def test_mixing_can_be_forced(options: dict[str, Any], addresses: list[str]) -> None:
    write_list(options["url_list"], addresses, 45)
    result = run(**options, allow_mixing=True)
    assert result.returncode == 0, result.stderr
    assert len(read_dataset(options["output_folder"]).rows) == 45


def test_a_folder_without_a_manifest_is_continued_with_a_warning(options: dict[str, Any]) -> None:
    (options["output_folder"] / ".img2dataset_manifest").unlink()
    (options["output_folder"] / "00001_stats.json").unlink()
    result = run(**options)
    assert result.returncode == 0
    assert "no record of how they were made" in result.stderr
    assert len(read_dataset(options["output_folder"]).rows) == 30


def test_an_interrupted_extension_is_gone_on_with(
    options: dict[str, Any], addresses: list[str], image_server: ImageServer, tmp_path: Path
) -> None:
    more = tmp_path / "more.txt"
    more.write_text(
        "\n".join([*(f"{addresses[0]}?{n}" for n in range(39)), image_server.url("/slow?seconds=20")])
    )
    extended = options | {"url_list": more, "incremental_mode": "extend"}
    process = start(**extended)
    wait_until(lambda: len(list(options["output_folder"].glob("*_stats.json"))) >= 5, process)
    process.kill()
    process.communicate()
    result = run(**extended, deadline=1)
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(options["output_folder"])
    assert sorted(dataset.statistics) == [f"{n:05d}" for n in range(7)]
    assert len(dataset.rows) == 70


def test_the_manifest_says_what_was_used_and_no_glob_for_data_finds_it(options: dict[str, Any]) -> None:
    folder = options["output_folder"]
    manifest = json.loads((folder / ".img2dataset_manifest").read_text())
    record = manifest["runs"][0]
    assert record["options"]["number_sample_per_shard"] == 10
    assert record["files"][0]["name"] == "list.txt"
    assert record["files"][0]["rows"] == 30
    assert record["ended"] >= record["started"]
    assert "timeout" not in record["options"]
    for pattern in ("*.json", "*.tar", "*.parquet", "*.tfrecord", "*.txt"):
        assert not any("manifest" in path.name for path in folder.glob(pattern))

"""Runs over a folder that is not empty: going on, starting over, and adding to it."""

from __future__ import annotations

from pathlib import Path

from tests.program.runs import read_dataset, run_here, serve_photographs, write_list
from tests.servers import ImageServer


def test_incremental_makes_only_what_is_missing_under_the_same_numbers(
    image_server: ImageServer, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    options = {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), 50),
        "output_folder": output,
        "output_format": "webdataset",
        "number_sample_per_shard": 10,
        "processes_count": 1,
    }
    assert run_here(**options).returncode == 0
    first = read_dataset(output)
    (output / "00002_stats.json").unlink()
    (output / "00002.tar").write_bytes(b"what an interrupted program of long ago left")
    (output / "00004_stats.json").unlink()
    untouched = (output / "00001.tar").stat().st_mtime_ns
    result = run_here(**options)
    assert result.returncode == 0
    assert "20 rows in 2 shards" in result.stdout
    assert "3 shards already done" in result.stdout
    assert read_dataset(output).images == first.images
    assert (output / "00001.tar").stat().st_mtime_ns == untouched


def test_a_finished_run_started_again_does_nothing_and_succeeds(
    image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server, folder="again")
    options = {
        "url_list": write_list(tmp_path / "list.txt", addresses, 20),
        "output_folder": tmp_path / "out",
    }
    assert run_here(**options).returncode == 0
    requests = image_server.count("/again/0.jpg")
    assert run_here(**options).returncode == 0
    assert image_server.count("/again/0.jpg") == requests


def test_overwrite_empties_the_folder_first(image_server: ImageServer, tmp_path: Path) -> None:
    addresses = serve_photographs(image_server)
    output = tmp_path / "out"
    options = {"output_folder": output, "number_sample_per_shard": 10, "processes_count": 1}
    assert run_here(url_list=write_list(tmp_path / "a.txt", addresses, 40), **options).returncode == 0
    result = run_here(
        url_list=write_list(tmp_path / "b.txt", addresses, 10), incremental_mode="overwrite", **options
    )
    assert result.returncode == 0, result.stderr
    assert len(read_dataset(output).rows) == 10
    assert not (output / "00001.parquet").exists()
    assert not (output / "00003").exists()


def test_extend_adds_new_shards_after_the_highest(image_server: ImageServer, tmp_path: Path) -> None:
    addresses = serve_photographs(image_server)
    output = tmp_path / "out"
    options = {"output_folder": output, "number_sample_per_shard": 10, "processes_count": 1}
    assert run_here(url_list=write_list(tmp_path / "a.txt", addresses, 25), **options).returncode == 0
    result = run_here(
        url_list=write_list(tmp_path / "b.txt", addresses, 15), incremental_mode="extend", **options
    )
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(output)
    assert sorted(dataset.statistics) == ["00000", "00001", "00002", "00003", "00004"]
    assert len(dataset.rows) == 40
    assert dataset.rows[-1]["key"] == "000044"


def test_each_file_of_a_folder_starts_a_new_shard(image_server: ImageServer, tmp_path: Path) -> None:
    addresses = serve_photographs(image_server)
    lists = tmp_path / "lists"
    lists.mkdir()
    write_list(lists / "b.txt", addresses, 12)
    write_list(lists / "a.txt", addresses, 15)
    result = run_here(
        url_list=lists, output_folder=tmp_path / "out", number_sample_per_shard=10, processes_count=1
    )
    assert result.returncode == 0, result.stderr
    counts = [
        statistics["count"] for _, statistics in sorted(read_dataset(tmp_path / "out").statistics.items())
    ]
    assert counts == [10, 5, 10, 2]

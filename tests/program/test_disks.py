"""File systems that are really full, read-only or gone: the run says so and ends, and goes on with room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import photograph
from tests.program.runs import read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import list_without_end, wait_until
from tests.servers import ImageServer


def mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; skips where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def options(small_disk: Path, image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), 400),
        "output_folder": small_disk / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 50,
        "processes_count": 2,
    }


def test_a_full_disk_ends_the_run_with_its_reason_and_the_same_command_completes_it_with_room(
    options: dict[str, Any], small_disk: Path
) -> None:
    result = run(**options)
    assert result.returncode == 1, result.stderr
    assert "No space left on device" in result.stdout + result.stderr
    assert mount("-o", "remount,size=100m", str(small_disk)).returncode == 0
    result = run(**options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert read_dataset(options["output_folder"]).statuses() == {"success": 400}


def test_a_read_only_disk_ends_the_run_with_its_reason(options: dict[str, Any], small_disk: Path) -> None:
    assert mount("-o", "remount,ro", str(small_disk)).returncode == 0
    result = run(**options)
    assert result.returncode != 0
    assert "Read-only file system" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def run_under_way(image_server: ImageServer, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of thirty shards into ``out``, a link to a folder; three of them are there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "folder")
    last = image_server.url(f"/later/{tmp_path.name}.jpg")
    process = start(
        url_list=list_without_end(tmp_path / "list.txt", serve_photographs(image_server), last),
        output_folder=tmp_path / "out",
        output_format="webdataset",
        number_sample_per_shard=100,
        processes_count=2,
        image_size=64,
        timeout=240,
    )
    wait_until(lambda: len(list(tmp_path.glob("out/*_stats.json"))) >= 3, process)
    yield process
    process.kill()
    process.communicate()


def test_an_output_folder_that_vanishes_for_good_ends_the_run_with_its_reason(
    run_under_way: subprocess.Popen[str], image_server: ImageServer, tmp_path: Path
) -> None:
    # In one step, so that the run has no chance to make the folder again.
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "file").rename(tmp_path / "out")
    image_server.put(f"/later/{tmp_path.name}.jpg", photograph(160, 120))
    stdout, stderr = run_under_way.communicate(timeout=240)
    assert run_under_way.returncode == 1, stdout + stderr
    assert "Not a directory" in stdout + stderr
    assert str(tmp_path / "out") in stdout + stderr
    assert "Traceback" not in stdout + stderr


def test_a_run_whose_finished_shards_were_removed_does_not_end_as_a_success(
    run_under_way: subprocess.Popen[str], image_server: ImageServer, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new-link").symlink_to(tmp_path / "new")
    (tmp_path / "new-link").rename(tmp_path / "out")
    image_server.put(f"/later/{tmp_path.name}.jpg", photograph(160, 120))
    run_under_way.communicate(timeout=240)
    shards = len(list(tmp_path.glob("out/*_stats.json")))
    assert (run_under_way.returncode, shards) in ((1, shards), (0, 30))

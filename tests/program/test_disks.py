"""Real file systems that are full or read-only: the run says so and ends, and goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import read_dataset, run, serve_photographs, write_list
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

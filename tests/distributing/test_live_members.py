"""Runs that must be alone in a folder see who is at work in it, on other machines too, by any clocks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from img2dataset.distributing import live_members
from img2dataset.distributing.live_members import members_at_work
from img2dataset.distributing.member_notes import MEMBERS_FOLDER
from img2dataset.errors import OutputError
from img2dataset.options import resolve
from img2dataset.preparing import prepare
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.storage.locations import locate
from img2dataset.storage.runs import new_run_id
from img2dataset.working.output_folder import OutputFolder
from tests.program.runs import run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer


def note(folder: Path, run: str = "elsewhere.1-7-00000000", **more: Any) -> None:
    """What a member on another machine has put."""
    path = folder / MEMBERS_FOLDER / "rank-00003.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"name": "rank-00003", "run": run, "engine": "ranks", "host": "elsewhere", "process_id": 7}
    text = json.dumps({**values, "started": 5.0, "heard": 5.0, **more})
    (path.parent / "new").write_text(text)
    (path.parent / "new").replace(path)


@contextmanager
def at_work(folder: Path, clock_off_s: float) -> Iterator[None]:
    """A member on another machine, which puts its note five times a second."""
    closing = threading.Event()

    def keep() -> None:
        while not closing.wait(0.2):
            note(folder, heard=time.time() + clock_off_s)

    note(folder, heard=time.time() + clock_off_s)
    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()


def begin(folder: Path, mode: str) -> None:
    (folder.parent / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    values = {"url_list": str(folder.parent / "list.txt"), "output_folder": str(folder)}
    options = resolve({**values, "output_format": "webdataset", "incremental_mode": mode})
    prepare(OutputFolder(work_settings(options).write), options, open_reader(options, 10))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(live_members, "_LOOK_S", 0.1)
    monkeypatch.setattr(members_at_work, "__defaults__", (3.0,))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/00000_stats.json").write_text('{"count": 3}')
    return tmp_path / "out"


@pytest.mark.parametrize("minutes", [-7, 0, 7])
@pytest.mark.parametrize("mode", ["overwrite", "extend", "new_only"])
def test_a_run_that_must_be_alone_is_refused_beside_a_member_on_another_machine(
    folder: Path, mode: str, minutes: int
) -> None:
    with at_work(folder, 60.0 * minutes), pytest.raises(OutputError) as refused:
        begin(folder, mode)
    told = (
        f"is being written to by process 7 on elsewhere (rank-00003), and --incremental_mode {mode} must be"
    )
    assert told in str(refused.value)
    assert (folder / "00000_stats.json").exists()


@pytest.mark.parametrize("mode", ["overwrite", "extend"])
def test_members_that_are_gone_or_have_ended_are_no_hindrance(
    folder: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    note(folder)
    begin(folder, mode)
    assert "it is watched for" in caplog.text
    caplog.clear()
    note(folder, ended=6.0)
    begin(folder, mode)
    assert "it is watched for" not in caplog.text


def test_one_that_ends_while_it_is_watched_is_no_hindrance(folder: Path) -> None:
    note(folder)
    timer = threading.Timer(0.5, lambda: note(folder, heard=9.0, ended=9.0))
    timer.start()
    assert members_at_work(locate(str(folder), "output_folder", OutputError)) == []
    timer.join()


def test_a_run_of_this_machine_that_died_is_not_watched(
    folder: Path, image_server: ImageServer, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server, 3), 2000),
        "output_folder": tmp_path / "killed",
        "output_format": "webdataset",
        "number_sample_per_shard": 10,
        "processes_count": 1,
    }
    process = start(**options, distributor="ranks", rank=0, world_size=1)
    wait_until(lambda: len(list((tmp_path / "killed").glob("*_stats.json"))) > 1, process)
    process.kill()
    process.communicate()
    assert list((tmp_path / "killed" / MEMBERS_FOLDER).iterdir())
    options["url_list"] = write_list(tmp_path / "short.txt", serve_photographs(image_server, 3), 10)
    result = run(**options, incremental_mode="overwrite")
    assert result.returncode == 0, result.stderr
    assert "watched" not in result.stderr


def test_the_program_itself_is_no_other(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    note(folder, run=new_run_id())
    location = locate(str(folder), "output_folder", OutputError)
    assert members_at_work(location) == []
    assert "it is watched for" not in caplog.text

"""``img2dataset status``: how far a run is, while it works, when it has ended, and when it was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from img2dataset.distributing.member_notes import MEMBERS_FOLDER, MemberNote
from img2dataset.errors import OutputError
from img2dataset.inspecting import command as inspect_command
from img2dataset.status.command import lines
from img2dataset.status.folder_status import folder_status
from img2dataset.storage.locations import locate
from img2dataset.storage.notes import write_note
from tests.program.runs import COMMAND, command_here, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), 300),
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 30,
        "processes_count": 1,
        "image_size": 64,
    }


def status_of(folder: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return command_here("status", str(folder), *words)


def as_json(folder: Any) -> dict[str, Any]:
    result = status_of(folder, "--json")
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def put_note(folder: Path, note: MemberNote, written: float | None = None) -> None:
    (folder / MEMBERS_FOLDER).mkdir(parents=True, exist_ok=True)
    path = folder / MEMBERS_FOLDER / f"{note.name}.json"
    path.write_text(note.to_text())
    if written is not None:
        os.utime(path, (written, written))


def member(number: int, heard: float, **more: Any) -> MemberNote:
    note = MemberNote(f"rank-{number:05d}", "run", "ranks", f"node{number}", 7, heard - 100, heard)
    return replace(note, rows_done={"success": 800, "failed_to_download": 200}, shards_done=9, **more)


def test_a_run_of_ranks_at_work_stopped_and_finished(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    lines = options["url_list"].read_text().split()
    lines[-1] = image_server.url("/hang-before-headers/status")
    (tmp_path / "hanging.txt").write_text("\n".join(lines))
    options |= {"url_list": tmp_path / "hanging.txt", "timeout": 250, "deadline": 250}
    ranks = {"distributor": "ranks", "rank": 0, "world_size": 1}
    process = start(**options, **ranks)
    wait_until(lambda: len(list(options["output_folder"].glob("*_stats.json"))) == 9, process)
    # A note of the rank is some seconds old.
    wait_until(lambda: as_json(options["output_folder"])["shards_open"] == 1, process)
    at_work = as_json(options["output_folder"])
    assert (at_work["shards_done"], at_work["shards_open"], at_work["complete"]) == (9, 1, False)
    (rank,) = at_work["members"]
    assert (rank["name"], rank["state"], rank["process_id"]) == ("rank-00000", "at work", process.pid)
    assert "9 done, 1 open, 0 failed" in status_of(options["output_folder"]).stdout
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    stopped = as_json(options["output_folder"])
    assert (stopped["shards_done"], stopped["shards_kept"]) == (9, 1)
    assert stopped["members"][0]["state"] == "ended"
    assert stopped["rows"] == {"success": 270}  # those of shards that are done
    result = run(**{**options, "timeout": 1}, **ranks)
    assert result.returncode == 0, result.stderr
    done = as_json(options["output_folder"])
    assert (done["complete"], done["rows_of_list"], done["rows_done"]) == (True, 300, 300)
    shown = status_of(options["output_folder"]).stdout
    assert "300 rows" in shown
    assert "10 done" in shown
    assert "every one of the list is done" in shown
    assert "nobody is at work" in shown


def test_a_short_run_on_one_machine_has_no_notes_and_that_is_said(options: dict[str, Any]) -> None:
    run(**options)
    # On a busy machine it took more than the ten seconds.
    shutil.rmtree(options["output_folder"] / MEMBERS_FOLDER, ignore_errors=True)
    shown = status_of(options["output_folder"])
    assert shown.returncode == 0
    assert "shards: 10 done, 0 failed; every one of the list is done\n" in shown.stdout
    assert "rows: 300 of shards that are done" in shown.stdout
    assert f"img2dataset inspect {options['output_folder']} says what became of them" in shown.stdout


def test_why_images_are_missing_is_said_and_is_in_the_json(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    gone = [image_server.url(f"/status/404?{row}") for row in range(90)]
    (tmp_path / "list.txt").write_text("\n".join([*serve_photographs(image_server), *gone]))
    run(**options)
    assert "90 of 114 rows (79%) are gone" in " ".join(status_of(options["output_folder"]).stdout.split())
    (finding,) = as_json(options["output_folder"])["findings"]
    assert (finding["kind"], finding["evidence"]["rows"]) == ("link_rot", 90)
    assert finding["page"] == "docs/findings.md#links-are-dead"
    # What was counted before rows are taken up again is not counted twice.
    for _ in range(2):
        run(**options, incremental_mode="retry_failed", retry_classes='["HTTP 404"]')
        (finding,) = as_json(options["output_folder"])["findings"]
        assert finding["evidence"]["rows"] == 90


def test_a_list_that_says_its_rows_gives_the_time_left(options: dict[str, Any], tmp_path: Path) -> None:
    run(**options)
    manifest = tmp_path / "out" / ".img2dataset_manifest"
    document = json.loads(manifest.read_text())
    document["runs"][0] |= {"ended": None}
    document["runs"][0]["files"][0]["rows"] = None
    manifest.write_text(json.dumps(document))
    now = time.time()
    put_note(tmp_path / "out", member(0, now, rows_of_list=2300))
    put_note(tmp_path / "out", member(1, now, rows_of_list=2300, shards_failed=2))
    put_note(tmp_path / "out", member(2, now - 700), written=now - 700)  # killed: its rate does not count
    put_note(tmp_path / "out", member(3, now, ended=now))
    status = folder_status(str(tmp_path / "out"), now=lambda: now)
    assert (status.rows_of_list, status.rows_done) == (2300, 300)
    assert status.rows_per_second == pytest.approx(20)
    assert status.seconds_left == pytest.approx(100)
    assert status.rows == {"success": 3200, "failed_to_download": 800}
    assert status.shards_failed == 2
    assert [one.state for one in status.members] == ["at work", "at work", "silent", "ended"]
    shown = lines(status)
    assert "rate: 20 rows/s; about 1 min 40 s left" in shown
    assert "members: 1 silent, 2 at work, 1 ended" in shown
    silent = next(line for line in shown if "rank-00002" in line)
    assert "silent, heard of 11 min 40 s ago" in silent
    assert shown.index(silent) < min(i for i, line in enumerate(shown) if "at work, heard" in line)


@pytest.mark.parametrize("minutes", [-9, 9])
def test_a_member_whose_clock_is_off_is_still_at_work_and_that_is_said(tmp_path: Path, minutes: int) -> None:
    now = time.time()
    put_note(tmp_path, member(0, now + 60 * minutes), written=now - 5)
    status = folder_status(str(tmp_path), now=lambda: now)
    assert status.members[0].state == "at work"
    assert status.members[0].silent_s == pytest.approx(5, abs=0.01)
    assert status.members[0].clock_off_s == pytest.approx(60 * minutes + 5, abs=0.01)
    assert status.rows_per_second == pytest.approx(10)
    said = next(line for line in lines(status) if line.startswith("clocks differ"))
    assert f"is 9 min {'ahead of' if minutes > 0 else 'behind'}".split()[-1] in said


def test_the_readers_own_clock_may_be_the_one_that_is_behind(tmp_path: Path) -> None:
    now = time.time()
    put_note(tmp_path, member(0, now), written=now)
    status = folder_status(str(tmp_path), now=lambda: now - 600)
    assert (status.members[0].state, status.members[0].silent_s) == ("at work", 0)
    assert status.members[0].clock_off_s == pytest.approx(600, abs=0.01)


def test_many_members_and_shards_take_one_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3000):
        (tmp_path / f"{number:05d}_stats.json").write_text("not read")
    for number in range(100):
        put_note(tmp_path, member(number, time.time()))
    status = folder_status(str(tmp_path))
    assert (status.shards_done, len(status.members)) == (3000, 100)
    shown = lines(status)
    assert len(shown) < 40
    assert "  and 70 more (--json has all)" in shown


def test_the_rows_of_a_clusters_members_count_once(options: dict[str, Any], tmp_path: Path) -> None:
    run(**options)
    now = time.time()
    for name in ("driver", "spark-host-1", "spark-host-2"):
        note = replace(member(0, now), name=name, engine="pyspark")
        put_note(tmp_path / "out", note)
    status = folder_status(str(tmp_path / "out"))
    assert status.rows == {"success": 1600, "failed_to_download": 400}
    assert status.rows_per_second == pytest.approx(20)


def test_what_is_no_note_is_left_out(tmp_path: Path) -> None:
    put_note(tmp_path, member(0, time.time()))
    (tmp_path / MEMBERS_FOLDER / "broken.json").write_text("{")
    (tmp_path / MEMBERS_FOLDER / "deep.json").write_text("[" * 100_000)
    (tmp_path / MEMBERS_FOLDER / "noise.json").write_bytes(b"\xa5\xff\0")
    assert [one.name for one in folder_status(str(tmp_path)).members] == ["rank-00000"]


@pytest.mark.parametrize("manifest", [b'{"manifest_version": 99}', b"\xa5\xff\0", b"[" * 100_000])
def test_a_manifest_of_a_later_version_or_a_damaged_one_costs_what_it_says_alone(
    tmp_path: Path, manifest: bytes
) -> None:
    (tmp_path / ".img2dataset_manifest").write_bytes(manifest)
    (tmp_path / "00000_stats.json").write_text("{}")
    assert folder_status(str(tmp_path)).shards_done == 1
    assert inspect_command.run([str(tmp_path)]) == 0


def test_findings_of_a_part_of_the_shards_say_so(
    options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    gone = [image_server.url(f"/status/404?{row}") for row in range(8)]
    (tmp_path / "list.txt").write_text("\n".join([*gone, *serve_photographs(image_server)]))
    run(**options)
    whole = status_of(options["output_folder"]).stdout
    assert "findings:\n" in whole
    shards = as_json(options["output_folder"])
    assert shards["findings_shards"] == shards["shards_done"] > 1
    run(**options, incremental_mode="retry_failed", retry_classes='["HTTP 404"]')
    retried = as_json(options["output_folder"])["findings_shards"]
    assert retried < shards["shards_done"]
    said = " ".join(status_of(options["output_folder"]).stdout.split())
    assert (
        f"findings, of {retried} of the {shards['shards_done']} shards: those that were logged since" in said
    )


def test_a_folder_on_a_store(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    region = {"region_name": "eu-west-1"}
    options = {"key": "k", "secret": "s", "endpoint_url": s3_server, "client_kwargs": region}
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    fsspec.filesystem("s3").mkdir("status")
    location = locate("s3://status/out", "output_folder", OutputError)
    note = member(0, time.time() + 600)
    write_note(location, f"{MEMBERS_FOLDER}/{note.name}.json", note.to_text())
    write_note(location, "00000_stats.json", "{}")
    status = folder_status("s3://status/out")
    assert status.shards_done == 1
    assert status.members[0].state == "at work"
    assert status.members[0].clock_off_s == pytest.approx(600, abs=10)


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        ([], 2, "status needs the output folder"),
        (["a", "b"], 2, "unrecognized arguments: b"),
        (["nowhere"], 1, "has nothing of a run in it"),
        (["s4://bucket/out"], 1, "no file system is known for s4://"),
        (["--help"], 0, ""),
    ],
)
def test_wrong_words_are_one_line(words: list[str], exit_status: int, said: str, tmp_path: Path) -> None:
    result = subprocess.run([COMMAND, "status", *words], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == exit_status
    assert said in result.stderr
    assert result.stderr.count("\n") == (1 if exit_status else 0)


def test_the_password_of_a_folder_is_not_in_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file system of the tests takes one, so that the folder of a disk is given the name of another."""
    (tmp_path / "00000_stats.json").write_text("{}")
    location = replace(locate(str(tmp_path), "OUTPUT", OutputError), name="https://me:PW@host/out")
    monkeypatch.setattr("img2dataset.status.folder_status.locate", lambda *_: location)
    assert folder_status("any").output_folder == "https://host/out"


def test_nobody_is_called_absent_where_nobody_has_left_a_note(tmp_path: Path) -> None:
    """A run at work leaves its first note after some seconds."""
    (tmp_path / "00000_stats.json").write_text("{}")
    assert "rate: not known, nor whether a run is at work" in lines(folder_status(str(tmp_path)))

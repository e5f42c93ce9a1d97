"""The notes that members keep of themselves in the output folder."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from img2dataset.distributing.member_notes import MEMBERS_FOLDER, MemberNote, MemberRecord, read_members
from img2dataset.errors import OutputError
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.storage.locations import Location, locate
from img2dataset.types import ShardReport, ShardStats


def location_of(folder: Path) -> Location:
    return locate(str(folder), "output_folder", OutputError)


def member(folder: Path, name: str = "rank-00001", noted: threading.Semaphore | None = None) -> MemberRecord:
    count = noted.release if noted is not None else (lambda: None)
    return MemberRecord(location_of(folder), name, "run-1", "ranks", interval_s=0.05, on_note=count)


def ended_shard(shard_id: int) -> ShardReport:
    return ShardReport(shard_id, stats=ShardStats(shard_id, 2, 1, 1, 0, 0.0, 1.0, {"success": 1}))


def test_what_a_member_has_done_can_be_read_while_it_works_and_afterwards(tmp_path: Path) -> None:
    noted = threading.Semaphore(0)
    before = time.time()
    record = member(tmp_path, noted=noted)
    record.start()
    record.rows(Counter({"success": 3, "failed_to_download": 1}))
    record.shard(ended_shard(0))
    record.shard(ShardReport(1, error="no room"))
    for _ in range(3):  # one of them may have been under way
        assert noted.acquire(timeout=10)
    (note,) = read_members(location_of(tmp_path))
    assert (note.name, note.run, note.engine) == ("rank-00001", "run-1", "ranks")
    assert note.rows_done == {"success": 3, "failed_to_download": 1}
    assert (note.shards_done, note.shards_failed, note.ended) == (1, 1, None)
    assert before <= note.started <= note.heard <= time.time()
    record.close()
    (last,) = read_members(location_of(tmp_path))
    assert last.ended is not None
    assert note.heard <= last.ended <= time.time()


def test_a_member_that_is_started_again_has_one_note_and_others_have_their_own(tmp_path: Path) -> None:
    for name in ("rank-00000", "rank-00001", "rank-00001"):
        record = member(tmp_path, name)
        record.start()
        record.close()
    assert [note.name for note in read_members(location_of(tmp_path))] == ["rank-00000", "rank-00001"]


def test_a_run_that_ends_before_its_first_note_leaves_nothing(tmp_path: Path) -> None:
    record = MemberRecord(location_of(tmp_path), "driver", "run-1", "multiprocessing", interval_s=60)
    record.start(note_at_once=False)
    record.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_costs_the_notes_alone(tmp_path: Path) -> None:
    (tmp_path / RUNS_FOLDER).write_text("a file")
    noted = threading.Semaphore(0)
    record = member(tmp_path, noted=noted)
    record.start()
    assert noted.acquire(timeout=10)
    record.close()
    assert (tmp_path / RUNS_FOLDER).read_text() == "a file"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "a"}', '{"name": 3, "run": null}'])
def test_what_is_no_note_is_left_out(tmp_path: Path, text: str) -> None:
    record = member(tmp_path)
    record.start()
    record.close()
    (tmp_path / MEMBERS_FOLDER / "broken.json").write_text(text)
    assert [note.name for note in read_members(location_of(tmp_path))] == ["rank-00001"]


def test_a_note_of_a_later_version_can_be_read() -> None:
    note = MemberNote("driver", "run-1", "ray", "host", 1, 2.0, 3.0)
    text = json.dumps(json.loads(note.to_text()) | {"colour": "blue"})
    assert MemberNote.from_text(text) == note


def test_a_folder_without_members_has_none(tmp_path: Path) -> None:
    assert read_members(location_of(tmp_path)) == []

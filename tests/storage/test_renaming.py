"""What network file systems are known for: answers that are lost, and handles of files that were replaced."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.folders import names_in
from img2dataset.storage.leases import Leases
from img2dataset.storage.locations import locate
from img2dataset.storage.notes import create_note, read_note, write_note
from img2dataset.storage.renaming import looked_again, replace_file
from img2dataset.working.output_folder import OutputFolder
from tests.working.shards import settings_for, write_shard


@pytest.fixture
def lost_answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every rename and link is done, and then done again, as NFS does where the first answer was lost."""
    again: list[str] = []
    for name in ("replace", "rename", "link"):
        done: Any = getattr(os, name)

        def twice(
            source: Any, target: Any, *more: Any, done: Any = done, name: str = name, **options: Any
        ) -> None:
            done(source, target, *more, **options)
            again.append(name)
            done(source, target, *more, **options)

        monkeypatch.setattr(os, name, twice)
    return again


def test_a_rename_whose_answer_was_lost_is_done(tmp_path: Path, lost_answers: list[str]) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert lost_answers == ["replace"]


def test_one_that_was_not_done_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something stands at its end, which is another file."""

    def removed(source: Any, target: Any) -> None:
        os.unlink(source)
        raise FileNotFoundError(source)

    monkeypatch.setattr(os, "replace", removed)
    for name in ("new", "old"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "new", tmp_path / "old")
    (tmp_path / "new").write_text("new")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "new", tmp_path / "nothing")


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet"])
def test_a_shard_is_made_where_answers_are_lost(
    tmp_path: Path, lost_answers: list[str], output_format: str
) -> None:
    settings = settings_for(tmp_path / "out", output_format)
    OutputFolder(settings).prepare()
    write_shard(settings)
    assert OutputFolder(settings).done_shards() == {0}
    write_shard(settings)  # and in place of the one that stands
    assert "replace" in lost_answers


def test_notes_and_leases_are_kept_where_answers_are_lost(tmp_path: Path, lost_answers: list[str]) -> None:
    location = locate(str(tmp_path), "output_folder", OutputError)
    write_note(location, "note", "one")
    assert read_note(location, "note") == "one"
    create_note(location, "created", "two")  # which may say that there was one: it is read again then
    assert read_note(location, "created") == "two"
    leases = Leases(location, "rank-0", "elsewhere.1-1-00000000", 60)
    leases.start()
    assert leases.take("00000")
    leases.close()
    assert "link" in lost_answers


def test_a_file_that_was_replaced_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [OSError(errno.ESTALE, "Stale file handle")] * 3

    def listed(path: Any, done: Any = os.listdir) -> list[str]:
        if answers:
            raise answers.pop()
        names: list[str] = done(path)
        return names

    monkeypatch.setattr(os, "listdir", listed)
    location = locate(str(tmp_path), "output_folder", OutputError)
    (tmp_path / "a").touch()
    assert names_in(location, location.path) == ["a"]


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_looking_again_has_an_end_and_other_errors_are_raised_at_once(number: int) -> None:
    asked: list[int] = []

    def operation() -> None:
        asked.append(1)
        raise OSError(number, "never")

    with pytest.raises(OSError, match="never"):
        looked_again(operation)
    assert len(asked) == (5 if number == errno.ESTALE else 1)

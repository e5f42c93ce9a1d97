"""A store that is away is waited for as long as the options say, and told of once; refusals are not."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage import patience as patience_module
from img2dataset.storage.locations import locate
from img2dataset.storage.notes import create_note, read_note, write_note
from img2dataset.storage.patience import Patience
from img2dataset.storage.retries import TRIES
from img2dataset.storage.steady_file import SteadyFile
from tests.storage.stores import UnsteadyStore


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 0.001)


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def operation() -> str:
        if left:
            raise left.pop()
        return "answer"

    return operation


def patience(seconds: float = 60, **options: Any) -> Patience:
    return Patience(seconds, "the store of the test", "the test waits for it", **options)


def test_what_fails_longer_than_five_tries_is_tried_on_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert patience().tried(failing(4 * TRIES, OSError("503 SlowDown"))) == "answer"
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == (
        "the store of the test is away: OSError: 503 SlowDown; the test waits for it, for 60 s at most"
        " (--store_patience)"
    )
    (back,) = told[1:]
    assert re.fullmatch(r"the store of the test is back after \d+ s", back)


def test_how_long_it_was_away_is_told(caplog: pytest.LogCaptureFixture) -> None:
    waiting = patience()
    assert waiting.failed(OSError("503"), 100.0)
    assert waiting.failed(OSError("503"), 107.0)
    waiting.worked(112.4)
    waiting.worked(120.0)
    assert [record.getMessage() for record in caplog.records][1:] == [
        "the store of the test is back after 12 s"
    ]


@pytest.mark.parametrize("error", [PermissionError("ExpiredToken"), FileNotFoundError(), KeyError("x")])
def test_what_the_store_has_decided_is_raised_at_once(error: Exception) -> None:
    operation = failing(1, error)
    with pytest.raises(type(error)):
        patience().tried(operation)
    assert operation() == "answer"


def test_patience_has_an_end_and_there_may_be_none() -> None:
    for seconds in (0, 0.05):
        with pytest.raises(OSError, match="503"):
            patience(seconds).tried(failing(100_000, OSError("503")))


def test_a_run_that_is_stopped_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "FIRST_WAIT_S", 600.0)
    answers = [False, False, True]
    with pytest.raises(OSError, match="503"):
        patience(is_over=lambda: answers.pop(0)).tried(failing(100_000, OSError("503")))
    assert answers == []


class Away(UnsteadyStore):
    """A store that does not answer some of its next requests of any kind."""

    protocol = "away"
    unanswered = 0

    def _ask(self) -> None:
        if Away.unanswered:
            Away.unanswered -= 1
            raise OSError("no answer")

    def exists(self, path: str, **options: Any) -> bool:
        self._ask()
        return bool(super().exists(path, **options))

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        self._ask()
        return super().cat_file(path, *arguments, **options)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self._ask()
        super().pipe_file(path, value, **options)


def test_notes_are_read_and_kept_when_the_store_is_back(unsteady_folder: str) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    location = locate(unsteady_folder.replace("unsteady", "away"), "output_folder", OutputError)
    Away.unanswered = TRIES - 1
    assert create_note(location, "note", "one")
    Away.unanswered = TRIES - 1
    assert not create_note(location, "note", "two")
    Away.unanswered = TRIES - 1
    assert read_note(location, "note") == "one"
    Away.unanswered = TRIES - 1
    write_note(location, "note", "three")
    assert read_note(location, "note") == "three"
    assert read_note(location, "other") is None


class Breaking(io.BytesIO):
    """A file whose reads fail now and then, and that is of no use after that."""

    def __init__(self, contents: bytes, reads: int) -> None:
        super().__init__(contents)
        self.reads = reads

    def read(self, size: int | None = -1) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise OSError("the connection is gone")
        return super().read(size)


def test_a_file_is_read_on_where_it_was(tmp_path: Path) -> None:
    contents = bytes(range(256)) * 40
    file = SteadyFile(lambda: Breaking(contents, 3), patience().tried)
    assert b"".join(iter(lambda: file.read(700), b"")) == contents
    assert file.seek(-10, io.SEEK_END) == len(contents) - 10
    assert file.read() == contents[-10:]
    file.seek(5)
    buffer = bytearray(7)
    assert file.readinto(buffer) == 7
    assert bytes(buffer) == contents[5:12]
    assert file.tell() == 12
    assert file.seek(3, io.SEEK_CUR) == 15
    assert file.read(1) == contents[15:16]
    assert file.error is None


def test_one_that_is_another_when_it_is_opened_again_is_not_read_on() -> None:
    opened = iter([Breaking(b"a" * 100, 1)])

    def open_file() -> Any:
        for file in opened:
            return file
        raise OutputError("it changed")

    file = SteadyFile(open_file, patience().tried)
    assert file.read(10) == b"a" * 10
    with pytest.raises(OutputError, match="it changed"):
        file.read(10)
    assert isinstance(file.error, OutputError)


def test_one_that_cannot_be_entered_in_the_middle_is_not_opened_again() -> None:
    class Stream(Breaking):
        def seekable(self) -> bool:
            return False

    file = SteadyFile(lambda: Stream(b"abcdef", 1), patience().tried)
    assert file.read(3) == b"abc"
    with pytest.raises(OSError, match="gone"):
        file.read(3)

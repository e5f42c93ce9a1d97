"""How far work is: nothing of what is done at once; a terminal has a line, a file plain ones at times."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterator

import pytest

from img2dataset.log_output import set_up_logging
from img2dataset.options.logs import LogSettings
from img2dataset.work_line import say_beside_line, with_line, work_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, quiet_s: float = 0.01, first_line_s: float = 3600.0
) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        with work_line("known URLs", "shards", 3, quiet_s, first_line_s) as line:
            for done, note in ((1, "1,000 URLs"), (2, "2,500 URLs"), (1, "700 URLs"), (3, "9 URLs")):
                time.sleep(0.12)  # tqdm draws ten times a second
                line.note(note)
                line.advance_to(done)
    return stream.getvalue()


def test_a_terminal_has_a_line_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal())
    assert "known URLs:" in text
    assert "/3 [" in text
    assert text.endswith("\r")
    assert "\n" not in text


def test_what_is_done_at_once_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "known" not in shown(monkeypatch, Terminal(), quiet_s=3600)
    assert shown(monkeypatch, io.StringIO()) == ""


def test_a_file_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first is due at once, the second no sooner.
    lines = shown(monkeypatch, io.StringIO(), first_line_s=0.0).splitlines()
    assert re.fullmatch(r"img2dataset: known URLs: 1 of 3 shards in \d+ s, 1,000 URLs", lines[0])


@pytest.fixture
def json_lines() -> Iterator[None]:
    set_up_logging(LogSettings("warning", "json"))
    yield
    set_up_logging(LogSettings())


def test_where_lines_are_objects_this_is_one_on_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch, json_lines: None
) -> None:
    first = json.loads(shown(monkeypatch, Terminal(), first_line_s=0.0).splitlines()[0])
    assert (first["event"], first["work"], first["done"], first["total"]) == ("work", "known URLs", 1, 3)


def test_lines_come_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with work_line("counting", "rows", None, 2.0, 5.0) as line:
        for _ in range(300):
            now[0] += 1.0
            line.advance(10)
    seconds = [int(text.split(" rows in ")[1].split(" s")[0]) for text in stream.getvalue().splitlines()]
    assert seconds == [5, 15, 35, 75, 135, 195, 255]
    assert stream.getvalue().splitlines()[0] == "img2dataset: counting: 50 rows in 5 s"


def test_items_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(with_line(iter("abc"), "reading", "letters", 3)) == ["a", "b", "c"]


def test_a_closed_terminal_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Gone(Terminal):
        def write(self, text: str) -> int:
            asked.append(text)
            raise OSError("gone")

    assert shown(monkeypatch, Gone()) == ""
    assert asked


def test_a_line_beside_it_is_told_to_have_no_reader(capfd: pytest.CaptureFixture[str]) -> None:
    assert say_beside_line("a row")
    assert capfd.readouterr().out == "a row\n"

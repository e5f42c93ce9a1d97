"""The line for the reading of known URLs: only on a terminal, and only where it takes a while."""

from __future__ import annotations

import io
import sys
import time
from collections import Counter

import pytest

from img2dataset.reporting.progress import ProgressLine, known_urls_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, quiet_s: float | None) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        options = {} if quiet_s is None else {"quiet_s": quiet_s}
        with known_urls_line(3, **options) as show:
            show(1, 1000)
            show(2, 2500)
            show(1, 700)  # a second reading
    return stream.getvalue()


def test_it_says_how_many_shards_and_urls_have_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), 0)
    assert "known URLs: 100%" in text
    assert "3/3" in text
    assert "700 URLs" in text


def test_what_is_done_at_once_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shards" not in shown(monkeypatch, Terminal(), 3600)


def test_what_is_no_terminal_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), 0) == ""


def test_a_file_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    line = ProgressLine(first_line_s=1.0)
    line.set_total(4000)
    line.show(Counter({"success": 1}))
    assert stream.getvalue() == ""
    time.sleep(1.01)
    for count in range(500, 600):  # at once: one line, not a hundred
        line.show(Counter({"success": count, "failed_to_download": count}))
    line.close()
    (text,) = stream.getvalue().splitlines()
    assert text.startswith("img2dataset: 1,000 of 4,000 rows in ")
    assert text.endswith("rows/s, 50.0% ok")


def test_a_terminals_line_says_what_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    line = ProgressLine(100)
    time.sleep(0.15)
    line.show(Counter({"success": 30, "failed_to_download": 15, "failed_to_resize": 5}))
    line.close()
    assert "60.0% ok, 20 failed" in stream.getvalue()
    assert "\nimg2dataset: " not in stream.getvalue()

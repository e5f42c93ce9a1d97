"""The line of a run: on a terminal, and in a file."""

from __future__ import annotations

import io
import sys
import time
from collections import Counter

import pytest

from img2dataset.reporting.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = ProgressLine(first_line_s=1.0)
    line.set_total(4000)
    line.show(Counter({"success": 1}))
    assert stream.getvalue() == ""
    now[0] += 1.25
    for count in range(500, 600):  # at once: one line, not a hundred
        line.show(Counter({"success": count, "failed_to_download": count}))
    line.close()
    assert stream.getvalue() == "img2dataset: 1,000 of 4,000 rows in 1 s, 800 rows/s, 50.0% ok\n"


def test_a_terminals_line_says_what_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    line = ProgressLine(100)
    time.sleep(0.15)
    line.show(Counter({"success": 30, "failed_to_download": 15, "failed_to_resize": 5}))
    line.close()
    assert "60.0% ok, 20 failed" in stream.getvalue()
    assert "\nimg2dataset: " not in stream.getvalue()

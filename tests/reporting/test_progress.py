"""The line for the reading of known URLs: only on a terminal, and only where it takes a while."""

from __future__ import annotations

import io
import sys

import pytest

from img2dataset.reporting import known_urls_line


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

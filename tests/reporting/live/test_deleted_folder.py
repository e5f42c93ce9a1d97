"""A folder that is deleted while its page is watched."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from img2dataset.status.dashboard import open_page
from tests.reporting.test_event_log import logged


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    logged(str(folder))
    (folder / "00000_stats.json").write_text("{}")
    page = open_page(str(folder))
    try:
        number, view = page.view(None, 20)
        assert view["state"] == "ended"
        assert not view["trouble"]
        shutil.rmtree(folder)
        deadline = time.monotonic() + 60
        while not view["trouble"] and time.monotonic() < deadline:
            number, view = page.view(number, 5)
        assert "out" in str(view["trouble"])
        assert view["rows"]["done"] == 30
    finally:
        page.close()


def test_a_folder_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    page = open_page(str(tmp_path / "out"))
    try:
        assert not page.view(None, 20)[1].get("trouble")
    finally:
        page.close()

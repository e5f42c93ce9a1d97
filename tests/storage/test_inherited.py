"""Files without a name, which the workers of a run inherit."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from img2dataset.fetching.consent import shared_files
from img2dataset.fetching.hosts import sharing
from img2dataset.storage.inherited import inherited_descriptor

MAKERS = [sharing.make_shared_file, shared_files.make_shared_file]


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_of_it_stands_in_the_folder_for_temporary_files(
    make: Callable[[], BinaryIO | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = make()
    assert file is not None
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("NUMBER", str(file.fileno()))
    assert inherited_descriptor("NUMBER") == file.fileno()
    file.close()
    assert inherited_descriptor("NUMBER") is None


@pytest.mark.parametrize("make", MAKERS)
def test_without_room_for_it_there_is_a_warning_that_says_what_comes_of_it(
    make: Callable[[], BinaryIO | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.path.join(tmp_path, "gone"))
    with caplog.at_level(logging.WARNING, "img2dataset"):
        assert make() is None
    assert "the processes of this run cannot share " in caplog.text
    assert "(No such file or directory in " in caplog.text
    assert ": each " in caplog.text

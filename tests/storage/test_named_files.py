"""A file put where a user names it: over a link, into a pipe, and what is said before it is put."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from img2dataset.storage.locations import locate
from img2dataset.storage.putting import check_named_file, put_named_file


def put(path: Path) -> None:
    location = locate(str(path), "--file", ValueError)
    check_named_file(location)
    put_named_file(location, b"new")


def test_a_link_is_followed_whether_its_file_is_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    for name in ("there", "missing"):
        link = tmp_path / f"to-{name}"
        link.symlink_to(name)
        put(link)
        assert link.is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Both ends are open, so that neither side waits for the other where nothing is written.
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        put(pipe)
        assert pipe.is_fifo()
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)


@pytest.mark.parametrize("name", ["folder", "folder/", "missing/file", "file/file"])
def test_what_cannot_be_put_is_said_before(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match=r"Is a directory|No such file"):
        check_named_file(locate(f"{tmp_path}/{name}", "--file", ValueError))

"""Files put in place of others on a real SFTP server: at no moment is there neither."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.moving import move
from img2dataset.storage.putting import put_files
from tests.storage.sshd import Sshd, sshd

__all__ = ["sshd"]  # a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    monkeypatch.setitem(fsspec.config.conf, "sftp", sshd.access)
    (tmp_path / "out").mkdir()
    return locate(f"sftp://127.0.0.1{tmp_path}/out", "output_folder", OutputError)


def beginning_of(path: Path) -> str:
    try:
        return path.read_text()[:1]
    except FileNotFoundError:
        return "nothing"


@contextlib.contextmanager
def watched(path: Path) -> Iterator[list[str]]:
    """What is seen of a file, from another process's side, while it is replaced again and again."""
    seen: list[str] = []
    closing = threading.Event()

    def look() -> None:
        while not closing.is_set():
            seen.append(beginning_of(path))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        closing.set()
        thread.join()


def test_a_file_that_is_moved_onto_another_is_there_at_every_moment(folder: Location, tmp_path: Path) -> None:
    target = tmp_path / "out/00000_stats.json"
    target.write_text("0")
    with watched(target) as seen:
        for number in range(60):
            (tmp_path / "out/new").write_text(f"{number % 10}" * 1000)
            move(folder, f"{folder.path}/new", f"{folder.path}/00000_stats.json")
    assert "nothing" not in seen
    assert len(set(seen)) > 1
    move(folder, f"{folder.path}/new", f"{folder.path}/00000_stats.json")  # moved already


def test_a_file_that_is_uploaded_over_another_is_whole_at_every_moment(
    folder: Location, tmp_path: Path
) -> None:
    target = tmp_path / "out/00000.tar"
    target.write_text("0" * 100_000)
    with watched(target) as seen:
        for number in range(1, 20):
            (tmp_path / "local").write_text(f"{number % 10}" * 100_000)
            put_files(
                folder, [(str(tmp_path / "local"), f"{folder.path}/00000.tar")], f"{folder.path}/.tmp/a-"
            )
    assert set(seen) <= set("0123456789")
    assert len(set(seen)) > 1


def test_a_folder_in_the_way_is_replaced_too(folder: Location, tmp_path: Path) -> None:
    (tmp_path / "out/00000.tar").mkdir()
    (tmp_path / "out/00000.tar/inner").write_text("old")
    (tmp_path / "out/new").write_text("new")
    move(folder, f"{folder.path}/new", f"{folder.path}/00000.tar")
    assert (tmp_path / "out/00000.tar").read_text() == "new"


@pytest.mark.parametrize("times", range(3))
def test_of_two_machines_that_move_one_file_both_end_well(
    folder: Location, tmp_path: Path, times: int
) -> None:
    """Neither removes what the other has put."""
    errors: list[Exception] = []
    for number in range(20):
        (tmp_path / "out/new").write_text(str(number))
        together = threading.Barrier(2)

        def one(together: threading.Barrier = together) -> None:
            other = folder.for_this_thread()
            together.wait()
            try:
                move(other, f"{folder.path}/new", f"{folder.path}/00000_stats.json")
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (tmp_path / "out/00000_stats.json").read_text() == str(number)
    assert errors == []

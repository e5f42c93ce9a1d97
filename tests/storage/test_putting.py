"""Files and small texts put whole, and only where nothing stands; what is in a folder and its removal."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.notes import create_note, read_note, write_note
from img2dataset.storage.putting import put_files, put_whole
from tests.storage.stores import RenamingServer, UnsteadyStore


@pytest.fixture(params=["local", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty folder on the local disk or a store."""
    if request.param == "local":
        return locate(str(tmp_path), "folder", OutputError)
    if request.param == "memory":
        location = locate(f"memory://notes-{tmp_path.name}/{os.getpid()}", "folder", OutputError)
        location.file_system.makedirs(location.path, exist_ok=True)
        return location
    address = request.getfixturevalue("s3_server")
    options = {"key": "k", "secret": "s", "client_kwargs": {"region_name": "eu-west-1"}}
    store = fsspec.filesystem("s3", endpoint_url=address, **options)
    store.makedirs(f"notes-{os.getpid()}", exist_ok=True)
    return Location(store, f"notes-{os.getpid()}/{tmp_path.name}", "s3://notes")


def test_a_note_is_read_as_it_was_last_written(folder: Location) -> None:
    assert read_note(folder, "note") is None
    for text in ("first", "größer", ""):
        write_note(folder, "note", text)
        assert read_note(folder, "note") == text
    assert names_in(folder, folder.path) == ["note"]


def test_a_note_is_created_once(folder: Location) -> None:
    assert create_note(folder, "note", "first")
    assert not create_note(folder, "note", "second")
    assert read_note(folder, "note") == "first"
    assert names_in(folder, folder.path) == ["note"]


@pytest.mark.parametrize("folder", ["local", "s3"], indirect=True)
def test_of_many_that_create_a_note_at_once_one_does(folder: Location) -> None:
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait()
        return create_note(folder, "note", str(number))

    with ThreadPoolExecutor(8) as others:
        created = list(others.map(create, range(8)))
    assert created.count(True) == 1
    assert read_note(folder, "note") == str(created.index(True))


def test_a_note_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    folder = locate(str(tmp_path), "folder", OutputError)
    write_note(folder, "note", "old")
    with pytest.raises(UnicodeEncodeError):
        write_note(folder, "note", "new \ud800")
    assert read_note(folder, "note") == "old"
    assert os.listdir(tmp_path) == ["note"]


def test_files_and_folders_are_removed_and_what_is_gone_is_no_error(folder: Location) -> None:
    for name in ("a", "b"):
        write_note(folder, name, name)
    folder.file_system.makedirs(f"{folder.path}/inner", exist_ok=True)
    folder.file_system.pipe_file(f"{folder.path}/inner/c", b"c")
    for name in ("a", "inner", "never there"):
        remove(folder, f"{folder.path}/{name}")
    assert names_in(folder, folder.path) == ["b"]
    assert names_in(folder, f"{folder.path}/inner") == []


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    remove(locate(str(tmp_path), "folder", OutputError), str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert (tmp_path / "elsewhere/file").exists()


def test_uploads_are_moved_into_place_where_they_can_be_seen(renaming_folder: str, tmp_path: Path) -> None:
    location = locate(renaming_folder, "folder", OutputError)
    (tmp_path / "remote").mkdir()
    (tmp_path / "new").write_text("new")
    for _ in range(2):  # the second in place of the first
        put_files(location, [(str(tmp_path / "new"), f"{location.path}/name")], f"{location.path}/.tmp/1-")
    assert RenamingServer.moves == [(f"{location.path}/.tmp/1-name", f"{location.path}/name")] * 2
    assert (tmp_path / "remote/name").read_text() == "new"
    assert os.listdir(tmp_path / "remote/.tmp") == []


def test_each_upload_is_tried_again_by_itself(unsteady_folder: str, tmp_path: Path) -> None:
    location = locate(unsteady_folder, "folder", OutputError)
    files = []
    for number in range(20):
        (tmp_path / str(number)).write_text(str(number))
        files.append((str(tmp_path / str(number)), f"{location.path}/{number}"))
    UnsteadyStore.failures += [OSError("503"), TimeoutError(), ConnectionResetError()]
    put_files(location, files)
    assert sorted(UnsteadyStore.uploads, key=int) == [str(number) for number in range(20)]
    UnsteadyStore.failures += [AttributeError("of ours")]
    with pytest.raises(AttributeError, match="of ours"):
        put_files(location, files)


def test_a_local_file_is_put_when_all_of_it_is_written_and_leaves_nothing_else(tmp_path: Path) -> None:
    target, temporary = tmp_path / "target", tmp_path / "temporary"
    target.write_bytes(b"before")
    with put_whole(target, temporary):
        temporary.write_bytes(b"first half")
        assert target.read_bytes() == b"before"
        with open(temporary, "ab") as file:
            file.write(b", second half")
    assert target.read_bytes() == b"first half, second half"
    assert os.listdir(tmp_path) == ["target"]


@pytest.mark.parametrize("wrong", ["the block", "nothing written", "no such folder"])
def test_a_local_file_that_cannot_be_written_leaves_what_stood_there(tmp_path: Path, wrong: str) -> None:
    target, temporary = tmp_path / "target", tmp_path / "temporary"
    target.write_bytes(b"before")
    path = tmp_path / "none" / "target" if wrong == "no such folder" else target

    def put() -> None:
        with put_whole(path, temporary):
            if wrong != "nothing written":
                temporary.write_bytes(b"half")
            if wrong == "the block":
                raise ZeroDivisionError

    with pytest.raises((OSError, ZeroDivisionError)):
        put()
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["target"]

"""Locks of files, folders and bytes: between threads and processes, given back by those that are killed."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import img2dataset
from img2dataset.storage.locks import LOCK_NAME, LockBusy, alone_in, give_byte_back, locked, take_byte

PACKAGE = Path(img2dataset.__file__).parent
# Holds a lock until it is ended: a file's, a folder's, or a byte's of a file that it has inherited.
HOLDER = """
import sys
from img2dataset.storage.locks import alone_in, locked, take_byte
kind, what = sys.argv[1:]
if kind == "byte":
    take_byte(int(what), 7)
elif kind == "file":
    held = locked(what)
    held.__enter__()
else:
    held = alone_in(what, 10)
    held.__enter__()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(kind: str, what: str, inherited: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=inherited,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("kind", ["file", "folder", "byte"])
def test_another_process_keeps_it_until_it_is_killed(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "lock")
    with tempfile.TemporaryFile() as file, ExitStack() as mine:
        take: dict[str, Callable[[float], Any]] = {
            "file": lambda wait_s: mine.enter_context(locked(path, wait_s)),
            "folder": lambda wait_s: mine.enter_context(alone_in(path, wait_s)),
            "byte": lambda wait_s: take_byte(file.fileno(), 7, wait_s),
        }
        what = str(file.fileno()) if kind == "byte" else path
        with held_elsewhere(kind, what, (file.fileno(),)) as holder:
            for wait_s in (0, 0.05):
                with pytest.raises(LockBusy):
                    take[kind](wait_s)
            take_byte(file.fileno(), 8, 0)  # another byte is another lock
            holder.kill()
            holder.wait()
            take[kind](10)


def test_a_byte_that_is_given_back_is_free() -> None:
    with tempfile.TemporaryFile() as file:
        take_byte(file.fileno(), 7)
        give_byte_back(file.fileno(), 7)
        with held_elsewhere("byte", str(file.fileno()), (file.fileno(),)), pytest.raises(LockBusy):
            take_byte(file.fileno(), 7, 0)


@pytest.mark.parametrize("lock", [locked, alone_in])
def test_threads_exclude_each_other(tmp_path: Path, lock: Callable[..., Any]) -> None:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(20):
            with lock(str(tmp_path / "lock"), 60):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)  # the others run meanwhile
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_file_of_a_lock_stays_and_the_folder_of_one_goes(tmp_path: Path) -> None:
    with locked(tmp_path / "file"), alone_in(str(tmp_path / "a/folder"), 0):
        assert os.listdir(tmp_path / "a/folder") == [LOCK_NAME]
    assert sorted(os.listdir(tmp_path)) == ["a", "file"]
    assert os.listdir(tmp_path / "a") == []


def test_a_folder_in_which_something_is_left_stays(tmp_path: Path) -> None:
    with alone_in(str(tmp_path / "folder"), 0):
        (tmp_path / "folder/left").touch()
    with alone_in(str(tmp_path / "folder"), 0):
        assert sorted(os.listdir(tmp_path / "folder")) == ["left", LOCK_NAME]
    assert os.listdir(tmp_path / "folder") == ["left"]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(OSError), alone_in(str(tmp_path / "folder"), 0):
        pass


def test_where_there_are_no_locks_a_file_cannot_be_locked_and_a_folder_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with alone_in(str(tmp_path / "folder"), 0), alone_in(str(tmp_path / "folder"), 0):
        pass
    with pytest.raises(OSError, match="No locks available"), locked(tmp_path / "file", 0):
        pass


def test_one_file_asks_the_system_for_locks() -> None:
    asking = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and any(alias.name == "fcntl" for alias in node.names)
    }
    assert asking == {"storage/locks.py"}

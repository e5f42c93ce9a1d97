"""Leases: of several owners one has each, and what owners who are gone had is free again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage import leases as leases_module
from img2dataset.storage.leases import LEASES_FOLDER, Leases
from img2dataset.storage.locations import locate
from img2dataset.storage.runs import new_run_id
from tests.storage.stores import RenamingServer

Open = Callable[..., Leases]


class Clock:
    """Seconds of one machine: each has its own, which begins at any time and moves when a test says so."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["local", "memory", "s3", "renaming"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "local":
        (tmp_path / "out").mkdir()
        return str(tmp_path / "out")
    if request.param == "renaming":
        fsspec.register_implementation("renaming", RenamingServer, clobber=True)
        (tmp_path / "out").mkdir()
        return f"renaming://{tmp_path}/out"
    if request.param == "memory":
        return f"memory://leases-{tmp_path.name}/out"
    address = request.getfixturevalue("s3_server")
    region = {"region_name": "eu-west-1"}
    options = {"key": "k", "secret": "s", "endpoint_url": address, "client_kwargs": region}
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    bucket = f"leases-{abs(hash(str(tmp_path)))}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/out"


@pytest.fixture
def opened(folder: str) -> Iterator[Open]:
    """Opens the leases of a member, which runs on another machine than the test."""
    location = locate(folder, "output_folder", OutputError)
    with contextlib.ExitStack() as stack:

        def open_leases(
            member: str, clock: Clock | None = None, gone_s: float = 60, run: str = "a"
        ) -> Leases:
            run_id = f"elsewhere.7-1-{run * 8}"
            leases = Leases(location, member, run_id, gone_s, clock or Clock(0))
            leases.start()
            stack.callback(leases.close)
            return leases

        yield open_leases


def silence(leases: Leases) -> None:
    """It gives no sign any more but those that the test gives: its own would come by the machine's clock."""
    leases._closing.set()
    leases._thread.join()


def names(folder: str) -> list[str]:
    file_system, path = fsspec.core.url_to_fs(folder)
    file_system.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return sorted(
            name.rpartition("/")[2] for name in file_system.ls(f"{path}/{LEASES_FOLDER}", detail=False)
        )
    return []


def test_one_of_two_has_a_lease_until_it_gives_it_back(opened: Open, folder: str) -> None:
    first, second = opened("rank-0"), opened("rank-1")
    assert first.take("00000")
    assert first.take("00000")
    assert not second.take("00000")
    assert second.take("00001")
    assert (first.held, second.held) == (1, 1)
    first.give_back("00000")
    assert second.take("00000")
    assert not first.take("00000")
    assert (first.held, second.held) == (0, 2)
    second.close()
    assert first.take("00000")
    first.close()
    assert names(folder) == []
    assert not first.take("00003")
    assert names(folder) == []


def test_of_many_that_ask_at_once_one_has_it(opened: Open, folder: str) -> None:
    members = [opened(f"rank-{number}") for number in range(8)]
    for name in ("00000", "00001", "00002"):
        together = threading.Barrier(len(members))

        def ask(member: Leases, name: str = name, together: threading.Barrier = together) -> bool:
            together.wait()
            return member.take(name)

        with ThreadPoolExecutor(len(members)) as threads:
            taken = sum(threads.map(ask, members))
        if folder.startswith(("memory", "renaming")):  # they look, then put: two may have it
            assert taken >= 1
        else:
            assert taken == 1


def test_a_member_that_is_silent_for_its_watchers_time_is_gone(opened: Open, folder: str) -> None:
    gone = opened("rank-0", Clock(5_000_000))
    assert gone.take("00000")
    silence(gone)
    clock, other_clock = Clock(100), Clock(-9_000)
    watcher, other = opened("rank-1", clock), opened("rank-2", other_clock)
    assert not watcher.take("00000")
    clock.now += 59
    assert not watcher.take("00000")
    assert not other.take("00000")
    clock.now += 2
    assert watcher.take("00000")
    # To the other, the new owner is one who has just been seen.
    other_clock.now += 61
    assert not other.take("00000")
    watcher.give_back("00000")
    assert other.take("00000")
    other.close()
    watcher.close()
    watcher.remove_leftovers(lambda name: True)
    assert names(folder) == []


def test_a_member_that_gives_signs_is_not_gone_however_long_it_takes(opened: Open) -> None:
    clock = Clock(0)
    slow, watcher = opened("rank-0"), opened("rank-1", clock)
    silence(slow)
    assert slow.take("00000")
    for number in range(1, 5):
        assert not watcher.take("00000")
        slow._put_sign(number)
        clock.now += 59


@pytest.mark.parametrize("minutes", [-7, 0, 7])
def test_clocks_that_differ_by_minutes_change_nothing(opened: Open, minutes: int) -> None:
    """Neither the one that is ahead takes what is in hand, nor does the other wait longer."""
    clock = Clock(60.0 * minutes)
    owner, watcher = opened("rank-0", Clock(0)), opened("rank-1", clock)
    silence(owner)
    assert owner.take("00000")
    assert not watcher.take("00000")
    clock.now += 61
    owner._put_sign(1)
    assert not watcher.take("00000")
    clock.now += 61
    assert watcher.take("00000")


def test_a_member_that_is_started_again_soon_has_its_own_back(opened: Open) -> None:
    gone = opened("rank-0", run="a")
    assert gone.take("00000")
    silence(gone)
    clocks = Clock(0), Clock(0)
    again, other = opened("rank-0", clocks[0], run="c"), opened("rank-1", clocks[1], run="b")
    for seconds in (0, 24):
        for clock in clocks:
            clock.now += seconds
        assert not again.take("00000")
        assert not other.take("00000")
    for clock in clocks:
        clock.now += 2
    assert not other.take("00000")
    assert again.take("00000")


def test_two_that_are_started_under_one_name_do_not_take_each_others(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(0)
    one, two = opened("rank-0", run="a"), opened("rank-0", clock, run="b")
    silence(one)
    assert one.take("00000")
    for number in range(4):
        assert not two.take("00000")
        one._put_sign(number + 1)
        clock.now += 24
    assert [record.getMessage() for record in caplog.records] == [
        "another program is at work as rank-0 too: give each a number of its own"
    ]


def test_signs_are_given_by_themselves(opened: Open, folder: str) -> None:
    leases = opened("rank-0", gone_s=0.3)
    location = locate(folder, "output_folder", OutputError)
    (sign,) = location.file_system.glob(f"{location.path}/{LEASES_FOLDER}/member-rank-0-*")
    seen = {location.file_system.cat_file(sign)}
    until = time.monotonic() + 60
    while len(seen) <= 2 and time.monotonic() < until:
        leases._closing.wait(0.05)
        seen.add(location.file_system.cat_file(sign))
    assert len(seen) > 2


def test_the_folder_may_be_removed_at_any_time(opened: Open, folder: str) -> None:
    leases = opened("rank-0")
    file_system, path = fsspec.core.url_to_fs(folder)
    file_system.rm(f"{path}/{LEASES_FOLDER}", recursive=True)
    assert leases.take("00000")
    leases._put_sign(1)
    assert len(names(folder)) == 2


def test_nobody_is_gone_for_want_of_signs_while_the_folder_fails_the_watcher_too(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is away keeps all from giving signs; those who live need a moment when it is back."""
    clock = Clock(0)
    owner, watcher = opened("rank-0"), opened("rank-1", clock, gone_s=6)
    silence(owner)
    assert owner.take("00000")
    assert not watcher.take("00000")

    def put_sign(number: int) -> None:
        raise OSError("503 SlowDown")

    with monkeypatch.context() as away:
        away.setattr(watcher, "_put_sign", put_sign)
        clock.now += 3600
        until = time.monotonic() + 60
        while watcher._failed_at < clock.now and time.monotonic() < until:
            watcher._closing.wait(0.02)
    assert not watcher.take("00000")
    clock.now += 5
    assert not watcher.take("00000")
    clock.now += 2
    assert watcher.take("00000")


def test_a_lease_that_cannot_be_removed_now_is_when_the_store_is_back(
    opened: Open, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = opened("rank-0", gone_s=3), opened("rank-1")
    assert owner.take("00000")
    with monkeypatch.context() as away:

        def remove(location: object, path: str) -> None:
            raise OSError("503 SlowDown")

        away.setattr(leases_module, "remove", remove)
        owner.give_back("00000")
        assert "00000.1" in names(folder)
    until = time.monotonic() + 60
    while "00000.1" in names(folder) and time.monotonic() < until:
        owner._closing.wait(0.1)
    assert other.take("00000")


@pytest.mark.parametrize(("boot", "gone"), [("", True), ("another", False)])
def test_an_owner_who_has_died_on_this_machine_is_gone_at_once_and_not_one_on_its_copy(
    boot: str, gone: bool, folder: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was copied from this one has its name, and other processes."""
    location = locate(folder, "output_folder", OutputError)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    run_id = new_run_id().replace(f"-{os.getpid()}-", f"-{process.pid}-")
    with monkeypatch.context() as elsewhere:
        if boot:
            elsewhere.setattr(leases_module, "boot_id", lambda: boot)
        owner = Leases(location, "rank-0", run_id, 60, Clock(0))
    owner.start()
    assert owner.take("00000")
    assert opened("rank-1").take("00000") == gone
    owner.close()

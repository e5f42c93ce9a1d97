"""Large images are decoded one after another over all processes, and none waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from img2dataset.fetching.hosts import sharing
from img2dataset.storage import locks
from img2dataset.working import decoding_budget
from img2dataset.working.decoding_budget import decoding_turn

HOLDER = """
import sys
from img2dataset.working.decoding_budget import decoding_turn
with decoding_turn()():
    print("has it", flush=True)
    sys.stdin.readline()
print("gave it back", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def descriptor(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        monkeypatch.setenv(sharing.VARIABLE, str(file.fileno()))
        yield file.fileno()


@pytest.fixture
def holder(descriptor: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[descriptor],
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"
        yield process
        process.kill()


def has_turn(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> bool:
    monkeypatch.setattr(decoding_budget, "LONGEST_WAIT_S", 0.1)
    return decoding_budget._waited(descriptor)


def test_without_other_processes_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", "x", "987654"):
        if value is None:
            monkeypatch.delenv(sharing.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(sharing.VARIABLE, value)
        assert decoding_turn() is None


def test_a_turn_is_waited_for_and_given_back(
    descriptor: int, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_turn(monkeypatch, descriptor)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "gave it back\n"
    assert has_turn(monkeypatch, descriptor)


def test_a_process_that_dies_gives_its_turn_back(
    descriptor: int, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder.kill()
    holder.wait()
    assert has_turn(monkeypatch, descriptor)


def test_a_process_that_never_gives_it_back_does_not_hold_up_others(
    descriptor: int, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_budget, "LONGEST_WAIT_S", 0.1)
    turn = decoding_turn()
    assert turn is not None
    with turn():
        assert holder.poll() is None
    assert not has_turn(monkeypatch, descriptor), "what another holds is not given back by this process"


def test_where_no_lock_can_be_had_at_all_none_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems without locks: each large image would wait for two minutes."""
    waits: list[float] = []
    monkeypatch.setattr(locks.time, "sleep", waits.append)
    monkeypatch.setattr(decoding_budget, "LONGEST_WAIT_S", 1.0)
    with open(os.devnull, "rb") as unlockable:
        monkeypatch.setenv(sharing.VARIABLE, str(unlockable.fileno()))
        turn = decoding_turn()
        assert turn is not None
        with turn():
            pass
    assert waits == []

"""Which runs still live, told by their ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from img2dataset.storage import runs
from img2dataset.storage.runs import new_run_id, other_run_lives, process_of, run_is_dead


def run_id_of(process: subprocess.Popen[bytes]) -> str:
    return new_run_id().replace(f"-{os.getpid()}-", f"-{process.pid}-")


def test_a_run_at_work_lives() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run_id = run_id_of(process)
    assert process_of(run_id) == process.pid
    assert other_run_lives(run_id)
    assert not run_is_dead(run_id)
    process.communicate(b"\n")
    assert run_is_dead(run_id)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only /proc tells of it")
def test_a_killed_run_that_nobody_has_waited_for_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run_id = run_id_of(process)
    process.kill()
    until = time.monotonic() + 30
    while not run_is_dead(run_id) and time.monotonic() < until:
        time.sleep(0.05)
    assert run_is_dead(run_id)
    assert not other_run_lives(run_id)
    assert process.wait() == -9  # until here nobody had


def test_a_run_on_a_machine_of_the_same_name_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside containers, all machines have one number for their process ids' namespace."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = run_id_of(process)
    assert run_is_dead(here)
    runs._machine.cache_clear()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(runs, "_text_of", lambda path: f"{path} of another machine")
        there = run_id_of(process)
    runs._machine.cache_clear()
    assert there != here
    assert not run_is_dead(there)
    assert not other_run_lives(there.replace(f"-{process.pid}-", f"-{os.getppid()}-"))

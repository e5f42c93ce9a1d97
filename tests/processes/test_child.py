"""A child process is started, fed, heard and buried; whatever it or its threads die of, its end is told."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from img2dataset.processes import Child, Ended, Heard, Program, bury, next_heard
from img2dataset.processes.parent import PARENT_GONE_STATUS, THREAD_DIED_STATUS

ECHO = Program("tests.processes.echo", "echo")


class Ear:
    """Hears the children that it has started."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[Heard[str] | Ended] = queue.SimpleQueue()
        self.children: list[Child[str, str]] = []
        self.ended: set[int] = set()

    def start(self, program: Program = ECHO, *messages: str) -> Child[str, str]:
        child: Child[str, str] = Child(len(self.children), program, self.heard.put)
        self.children.append(child)
        for message in messages:
            child.send(message)
        return child

    def next(self) -> Heard[str] | Ended:
        heard = next_heard(self.heard, [child for child in self.children if child.number not in self.ended])
        if isinstance(heard, Ended):
            # Whoever asks for a child that has ended is told so once more.
            self.ended.add(heard.child)
        return heard


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    for child in ear.children:
        child.kill()
    bury(ear.children, 60)


def test_what_a_child_is_told_it_says_and_then_its_end_is_heard(ear: Ear) -> None:
    ear.start(ECHO, "one", "two" * 100_000, "print", "three", "end")
    assert [ear.next() for _ in range(4)] == [
        Heard(0, "one"),
        Heard(0, "two" * 100_000),
        Heard(0, "three"),
        Ended(0, 0),
    ]


def test_children_are_told_apart(ear: Ear) -> None:
    for name in "abc":
        ear.start(ECHO, name)
    heard = {ear.next() for _ in range(3)}
    assert heard == {Heard(0, "a"), Heard(1, "b"), Heard(2, "c")}


@pytest.mark.parametrize(("message", "exit_status"), [("die", 3), ("end", 0)])
def test_the_way_in_which_a_child_ends_is_told(message: str, exit_status: int, ear: Ear) -> None:
    ear.start(ECHO, message)
    assert ear.next() == Ended(0, exit_status)


def test_the_signal_that_killed_a_child_is_told(ear: Ear) -> None:
    child = ear.start(ECHO, "sleep")
    os.kill(child.pid, signal.SIGKILL)
    assert ear.next() == Ended(0, -9)


def test_a_thread_that_a_child_cannot_do_without_ends_it_and_says_why(ear: Ear) -> None:
    ear.start(ECHO, "break")
    assert ear.next() == Heard(0, "last: its heart thread: IndexError: list index out of range")
    assert ear.next() == Ended(0, THREAD_DIED_STATUS)


def test_a_child_that_nobody_can_hear_any_more_is_ended(ear: Ear) -> None:
    """The thread that listens to it dies of what it hears; that ends the child, and no wait for ever."""

    def hear(heard: Heard[str] | Ended) -> None:
        if isinstance(heard, Heard):
            raise MemoryError("no room for it")
        ear.heard.put(heard)

    child: Child[str, str] = Child(0, ECHO, hear)
    ear.children.append(child)
    child.send("anything")
    assert ear.next() == Ended(0, -9)
    assert child.failure == "its receiver thread: MemoryError: no room for it"


def test_a_child_has_the_descriptors_and_the_environment_of_its_program(ear: Ear) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"inherited")
        file.flush()
        number = file.fileno()
        program = Program(ECHO.module, "echo", (number,), {"ECHO_DESCRIPTOR": str(number)})
        ear.start(program, "environment")
        assert ear.next() == Heard(0, "inherited")


def test_burying_ends_those_that_do_not_end_by_themselves(ear: Ear) -> None:
    quick, slow = ear.start(ECHO, "end"), ear.start(ECHO, "sleep")
    # On a busy machine its interpreter alone takes seconds to start.
    bury([quick], 120)
    bury([quick, slow], 1.0)
    assert {ear.next(), ear.next()} == {Ended(0, 0), Ended(1, -9)}


def test_a_child_whose_parent_is_gone_ends() -> None:
    script = (
        "import os; from img2dataset.processes import Child, Program;"
        " heard = []; child = Child(0, Program('tests.processes.echo', 'echo'), heard.append);"
        " child.send('here')\n"
        "while not heard: pass\n"
        "print(child.pid, flush=True); os._exit(0)"
    )
    pid = int(
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    )
    until = time.monotonic() + 120
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(pid)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_ends_for_want_of_a_parent_says_so_by_its_status() -> None:
    process = subprocess.run(
        [sys.executable, "-c", "from tests.processes.echo import main; main()"],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert process.returncode == PARENT_GONE_STATUS

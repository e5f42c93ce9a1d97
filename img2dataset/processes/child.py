"""One child process, seen from the program: started, fed, listened to, and its death noticed.

Everything it says, and its end, is handed to the function that was given for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from img2dataset.processes import frames

_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from {module} import main; main()"

# How often threads are looked after where nothing else is to be done.
WATCH_INTERVAL_S = 1.0

# What a child is told, and what it says.
Told = TypeVar("Told")
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs.

    ``module``: its ``main`` is called. ``name``: in the names of the threads by which the child is spoken to.
    ``descriptors`` are open in the child too, under the same numbers; ``environment`` is added to the
    program's own.
    """

    module: str
    name: str
    descriptors: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard(Generic[Said]):
    """What a child has said."""

    child: int
    message: Said


@dataclass(frozen=True, slots=True)
class Ended:
    """A child is gone, with this exit status (negative: the signal that killed it)."""

    child: int
    exit_status: int


class Child(Generic[Told, Said]):
    """A child process. Messages for it are sent by a thread of its own, so that a child that has stopped
    reading holds up nobody else.

    Args:
        number: in ``Heard`` and ``Ended``, to tell children apart.
        program: what it runs.
        hear: called by a thread of this object with all that the child says, and then with its end; while
            it blocks, nothing more is read.

    Raises:
        OSError: no process can be started.
        RuntimeError: no thread can be started.
    """

    def __init__(self, number: int, program: Program, hear: Callable[[Heard[Said] | Ended], None]):
        self.number = number
        # What a thread of this object has died of.
        self.failure: str | None = None
        self._name = f"{program.name}-{number}"
        self._hear = hear
        self._outbox: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        # A plain subprocess, not multiprocessing: no __main__ of the caller is run again, so that a
        # script without a guard and a notebook work, and nothing waits for a killed child.
        self._process = subprocess.Popen(
            [
                sys.executable,
                *_interpreter_flags(),
                "-c",
                _START.format(module=program.module),
                json.dumps(sys.path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Arrow's own memory pools keep what they have freed, and glibc an arena for each thread.
            env={
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "2",
                **os.environ,
                **program.environment,
            },
            pass_fds=program.descriptors,
            start_new_session=True,
        )
        try:
            self._sender = self._start_thread("sender", self._send_all)
            self._receiver = self._start_thread("receiver", self._receive_all)
        except RuntimeError:  # no thread can be made; nobody would ever hear of this process again
            self._process.kill()
            self._process.wait()
            self._outbox.put(None)
            assert self._process.stdout is not None
            self._process.stdout.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start_thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except BaseException as error:  # check_threads sees that the thread is gone
                self.failure = f"its {name} thread: {type(error).__name__}: {error}"

        thread = threading.Thread(target=run, name=f"{self._name}-{name}", daemon=True)
        thread.start()
        return thread

    def check_threads(self) -> None:
        """End the process if a thread by which it is spoken to has died, whatever it died of.

        ``Ended`` follows, also where the thread that tells it is the dead one.
        """
        if self._sender.is_alive() and self._receiver.is_alive():
            return
        self._process.kill()
        if not self._receiver.is_alive() and self._process.poll() is not None:
            self._hear(Ended(self.number, self._process.returncode))

    def send(self, message: Told) -> None:
        """Have a message sent; whether it arrives is told by what the child says next."""
        self._outbox.put(message)

    def kill(self) -> None:
        """End the process at once; ``Ended`` follows."""
        self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Whether the process has ended within this time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _send_all(self) -> None:
        assert self._process.stdin is not None
        # An error means that the process is gone: _receive_all says so.
        with contextlib.suppress(OSError):
            while (message := self._outbox.get()) is not None:
                frames.send(self._process.stdin, message)
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _receive_all(self) -> None:
        assert self._process.stdout is not None
        while (message := frames.receive(self._process.stdout)) is not None:
            self._hear(Heard(self.number, message))
        exit_status = self._process.wait()
        self._process.stdout.close()
        self._outbox.put(None)
        self._hear(Ended(self.number, exit_status))


def next_heard(
    heard: queue.SimpleQueue[Heard[Said] | Ended], children: Iterable[Child[Any, Said]]
) -> Heard[Said] | Ended:
    """Wait for what one of these says next, or for the end of one, whatever its threads have died of."""
    while True:
        with contextlib.suppress(queue.Empty):
            return heard.get(timeout=WATCH_INTERVAL_S)
        for child in children:
            child.check_threads()


def bury(children: Iterable[Child[Any, Any]], patience_s: float) -> None:
    """See that all of these are gone: after this time, in seconds, they are killed."""
    until = time.monotonic() + patience_s
    for child in children:
        if not child.wait(max(0.0, until - time.monotonic())):
            child.kill()
            child.wait(patience_s)


def _interpreter_flags() -> list[str]:
    """The flags the program itself was started with, such as -X dev or -W error."""
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    return flags

"""One worker process, seen from the program: started, fed, listened to, and its death noticed.

Everything it says, and its end, arrives as messages on the queue given to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from img2dataset.distributing import frames
from img2dataset.fetching.hosts import shared_paces

# The module whose ``main`` a worker process runs.
WORKER_MODULE = "img2dataset.distributing.worker_process"
_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from {module} import main; main()"


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker process is gone, with this exit status (negative: the signal that killed it)."""

    exit_status: int


class SupervisedWorker:
    """A worker process. Messages for it are sent by a thread of its own, so that a worker that has stopped
    reading holds up nobody else. ``shared_file``: where the workers of a run share the paces of hosts."""

    def __init__(
        self,
        number: int,
        settings: Any,
        messages: queue.SimpleQueue[tuple[int, Any]],
        shared_file: BinaryIO | None = None,
    ):
        self.number = number
        # What a thread of this object has died of.
        self.failure: str | None = None
        self._messages = messages
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A plain subprocess, not multiprocessing: no __main__ of the caller is run again, so that a
        # script without a guard and a notebook work, and nothing waits for a killed worker.
        self._process = subprocess.Popen(
            [
                sys.executable,
                *_interpreter_flags(),
                "-c",
                _START.format(module=WORKER_MODULE),
                json.dumps(sys.path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Arrow's own memory pools keep what they have freed, and glibc an arena for each thread.
            env={
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "2",
                **os.environ,
                **({shared_paces.VARIABLE: str(shared_file.fileno())} if shared_file else {}),
            },
            pass_fds=[shared_file.fileno()] if shared_file else [],
            start_new_session=True,
        )
        self._outbox.put(settings)
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

        thread = threading.Thread(target=run, name=f"worker-{self.number}-{name}", daemon=True)
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
            self._messages.put((self.number, Ended(self._process.returncode)))

    def send(self, message: Any) -> None:
        """Have a message sent; whether it arrives is told by what the worker says next."""
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
            self._messages.put((self.number, message))
        exit_status = self._process.wait()
        self._process.stdout.close()
        self._outbox.put(None)
        self._messages.put((self.number, Ended(exit_status)))


def _interpreter_flags() -> list[str]:
    """The flags the program itself was started with, such as -X dev or -W error."""
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    return flags

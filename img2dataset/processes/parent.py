"""The program, seen from a child of it: what it tells comes in on standard input, answers go out on standard
output.

A child ends by itself when its parent is gone, whose end of the pipe then closes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, Generic, NoReturn, TypeVar

from img2dataset.processes import frames

PARENT_GONE_STATUS = 75
THREAD_DIED_STATUS = 70

Told = TypeVar("Told")
Said = TypeVar("Said")


class Parent(Generic[Told, Said]):
    """The two pipes to the program; several threads may say something, one hears."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO):
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()  # guards _outgoing: one message at a time

    def say(self, message: Said) -> None:
        """Send a message; the process ends if nobody is left to hear it."""
        with self._sending:
            try:
                frames.send(self._outgoing, message)
            except OSError:
                _end_without_parent()

    def hear(self) -> Told:
        """The next message; the process ends if there is nobody left to send one."""
        message: Told | None = frames.receive(self._incoming)
        if message is None:
            _end_without_parent()
        return message

    def start_vital_thread(
        self, name: str, target: Callable[[], None], last_word: Callable[[str], Said]
    ) -> None:
        """Start a thread without which this process would wait for ever: if it breaks, the process ends.

        ``last_word`` makes the message by which the parent is told why.
        """

        def run() -> None:
            try:
                target()
            except BaseException as error:
                try:
                    self.say(last_word(f"its {name} thread: {type(error).__name__}: {error}"))
                finally:
                    os._exit(THREAD_DIED_STATUS)

        threading.Thread(target=run, name=name, daemon=True).start()


def join_parent() -> Parent[Told, Said]:
    """Take the standard streams for messages, and send whatever a library prints to standard error."""
    # The program decides when its children end; a Ctrl-C in the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming = os.fdopen(os.dup(0), "rb", buffering=1 << 20)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return Parent(incoming, outgoing)


def end_process() -> NoReturn:
    """End this child at once: threads of libraries that still run must not hold it."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(0)


def _end_without_parent() -> NoReturn:
    """Nobody is left to report to: end at once. What is unfinished stands under temporary names only."""
    os._exit(PARENT_GONE_STATUS)

"""The main function of a worker process: shards come in on standard input, reports go out on standard output.

Started by ``supervised.py``. It ends by itself when its parent is gone, whose end of the pipe then closes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from img2dataset.distributing.frames import (
    NoMoreWork,
    Pulse,
    Reported,
    Settled,
    ShardForWorker,
    WantsShard,
    WorkerFailed,
    receive,
    send,
)
from img2dataset.printable import PrintableFormatter
from img2dataset.types import Shard, Status

PARENT_GONE_STATUS = 75
THREAD_DIED_STATUS = 70
PULSE_S = 1.0


class _Pipes:
    """The two ends of a worker's pipes; several threads send, one receives."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO):
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()  # guards _outgoing: one message at a time
        self._shards: queue.SimpleQueue[Shard | None] = queue.SimpleQueue()

    def send(self, message: Any) -> None:
        with self._sending:
            try:
                send(self._outgoing, message)
            except OSError:
                _end_without_parent()

    def receive(self) -> Any:
        message = receive(self._incoming)
        if message is None:
            _end_without_parent()
        return message

    def receive_all(self, instruct: Callable[[Any], None]) -> None:
        """Sort what comes in, until there is no more work: shards, and instructions."""
        while True:
            message = self.receive()
            if isinstance(message, ShardForWorker):
                self._shards.put(message.shard)
            elif isinstance(message, NoMoreWork):
                self._shards.put(None)
            else:
                instruct(message)

    def shards(self) -> Iterator[Shard]:
        """Ask for one shard at a time, until there are no more."""
        while True:
            self.send(WantsShard())
            shard = self._shards.get()
            if shard is None:
                return
            yield shard


def _end_without_parent() -> None:
    """Nobody is left to report to: end at once. What is unfinished stands under temporary names only."""
    os._exit(PARENT_GONE_STATUS)


def _take_standard_streams() -> _Pipes:
    """Keep the pipes for messages, and send whatever a library prints to standard error."""
    incoming = os.fdopen(os.dup(0), "rb", buffering=1 << 20)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return _Pipes(incoming, outgoing)


def _start_vital_thread(name: str, pipes: _Pipes, target: Callable[[], None]) -> None:
    """Start a thread without which this process would wait for ever: if it breaks, the process ends."""

    def run() -> None:
        try:
            target()
        except BaseException as error:
            try:
                pipes.send(WorkerFailed(f"its {name} thread: {type(error).__name__}: {error}"))
            finally:
                os._exit(THREAD_DIED_STATUS)

    threading.Thread(target=run, name=name, daemon=True).start()


def main() -> None:
    """Serve one run. The first message is the ``WorkSettings``."""
    # The program decides when a run stops; a Ctrl-C in the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipes = _take_standard_streams()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    settings = pipes.receive()

    def tell_progress(statuses: Counter[Status]) -> None:
        pipes.send(Settled(statuses, worker.waiting))

    def tell_pulse() -> None:
        while True:
            pipes.send(Pulse(worker.step_s))
            time.sleep(PULSE_S)

    try:
        from img2dataset.working import Worker

        worker = Worker(settings, tell_progress, pipes.send)
        _start_vital_thread("receiver", pipes, lambda: pipes.receive_all(worker.instruct))
        _start_vital_thread("pulse", pipes, tell_pulse)
        for report in worker.run(pipes.shards()):
            pipes.send(Reported(report))
    except Exception as error:
        pipes.send(WorkerFailed(f"{type(error).__name__}: {error}"))
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Threads of libraries that still run must not hold the process.
    os._exit(0)

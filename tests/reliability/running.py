"""One run of the real command line: its workers can be killed, its memory is sampled, its end awaited.

Used by ``soak.py``, ``faults.py`` and ``hostile.py``. Linux only, as ``benchmarks/process_tree.py`` is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.process_tree import all_processes, memory_of

COMMAND = str(Path(sys.executable).with_name("img2dataset"))
# In the environment of a run and of all it starts: whose a process is stays known when its parent is gone,
# when it leads a session of its own, and when its number is given to a stranger.
MARK = "RELIABILITY_RUN"


class Run:
    """A running program in a session of its own, with a thread that samples the memory of its tree.

    Args:
        command: program and arguments.
        log: file that takes its output, appended to; its folder is where the command runs.
        interval_s: seconds from one sample of memory to the next; 0: none is taken.
        environment: its whole environment; None: this process's.

    ``samples`` has (seconds since the start, PSS of the tree in bytes).
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        interval_s: float = 0.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.samples: list[tuple[float, int]] = []
        self.log = log
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        self._said_before = log.stat().st_size if log.exists() else 0
        self._started = time.monotonic()
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**(os.environ if environment is None else environment), **dict([self._mark.split("=")])},
                start_new_session=True,
            )
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, args=(interval_s,), daemon=True)
        if interval_s:
            self._sampler.start()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_tree()
        self.wait()

    def _sample(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            self.samples.append((self.seconds, sum(memory_of(each)[0] for each in self.tree())))

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.monotonic() - self._started

    @property
    def peak(self) -> int:
        """The highest sample, in bytes."""
        return max((taken for _, taken in self.samples), default=0)

    def tree(self) -> list[int]:
        """The ids of its processes that are left."""
        mark, members = self._mark.encode(), []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    members.append(int(entry))
        return members

    def workers(self) -> list[int]:
        """The ids of its children."""
        return [each.process_id for each in all_processes() if each.parent_id == self.process.pid]

    def kill(self, process_id: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process of the tree, if it is still there."""
        if process_id in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)

    def kill_tree(self) -> None:
        """Kill whatever is left of it."""
        for process_id in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def wait(self, time_limit_s: float | None = None) -> int | None:
        """Wait for its end; its exit status, or None if it has not ended by then."""
        try:
            status = self.process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            return None
        self._ended.set()
        return status

    def wait_until_alone(self, time_limit_s: float) -> bool:
        """Wait until no process of it is left; whether that came to be."""
        until = time.monotonic() + time_limit_s
        while self.tree():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def said(self) -> str:
        """What it has written to its log so far."""
        with open(self.log, "rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")


def let_children_be_interrupted() -> None:
    """Give SIGINT back its effect: what a shell starts in the background ignores it, and hands that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def words(options: Mapping[str, object]) -> list[str]:
    """Options as words of the command line."""
    return [f"--{name}={value}" for name, value in options.items()]

"""Where one fault is tried on one program: a list, a server, a folder; and what a run of it came to.

A run that has not ended in 60 s is ended by us, and that is its outcome. Used by ``fault_trials.py``.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.pictures import photograph
from tests.reliability.fault_account import Account, account_of
from tests.reliability.programs import Program
from tests.reliability.running import Run
from tests.servers import ImageServer

ROWS, SHARD_SIZE = 200, 20
# In the second and the fifth of ten shards.
BAD_ROWS = (20, 21, 22, 80, 81, 82)
TIME_LIMIT_S = 60.0
MEMORY_LIMIT = 3_000_000_000
SAMPLE_INTERVAL_S = 0.25
ALONE_WITHIN_S = 15.0


@dataclass
class Trial:
    """The last run: how it ended, after how long, its highest memory in bytes, what it left.

    ``before`` is what was there when it began, ``notes`` what else was seen.
    """

    end: str
    seconds: float
    peak: int
    account: Account
    before: Account | None = None
    processes_left: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Place:
    """Where one try happens: ``part`` (0 to 1) is how far through its run a fault comes."""

    program: Program
    folder: Path
    server: ImageServer
    chance: random.Random
    part: float
    urls: list[str] = field(default_factory=list)
    bad: frozenset[str] = frozenset()
    options: dict[str, object] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return Path(str(self.options["output_folder"]))

    def fill(self, bad_paths: tuple[str, ...] = (), latency_s: float = 0.0, threads: int = 16) -> None:
        """Make pictures, list and options; ``bad_paths`` in turn take the places of ``BAD_ROWS``."""
        good = [
            self.server.put(f"/good/{n}.jpg", photograph(240 + 40 * n, 240, seed=n), latency_s=latency_s)
            for n in range(8)
        ]
        self.urls = [f"{good[row % 8]}?row={row}" for row in range(ROWS)]
        for row in BAD_ROWS if bad_paths else ():
            path = bad_paths[row % len(bad_paths)]
            self.urls[row] = f"{self.server.url(path, host=2)}{'&' if '?' in path else '?'}row={row}"
        self.bad = frozenset(self.urls[row] for row in BAD_ROWS) if bad_paths else frozenset()
        url_list = self.folder / "list.txt"
        url_list.write_text("".join(f"{url}\n" for url in self.urls))
        self.options = {
            "url_list": url_list,
            "output_folder": self.folder / "output",
            "output_format": "webdataset",
            "number_sample_per_shard": SHARD_SIZE,
            "image_size": 96,
            "processes_count": 2,
            "thread_count": threads,
        }

    def start(self, interval_s: float = 0.0, within: Sequence[str] = ()) -> Run:
        """Start the program; ``within``: the words that run a command somewhere else, before it."""
        return self.program.start(self.folder / "log.txt", interval_s, within, **self.options)

    def account(self) -> Account:
        return account_of(self.output, self.urls, self.bad)

    def run_to_its_end(self, before: Account | None = None) -> Trial:
        """Run the command and see how it ends and what it leaves, on the disk and of processes."""
        with self.start(SAMPLE_INTERVAL_S) as run:
            return self.await_end(run, before)

    def await_end(self, run: Run, before: Account | None = None) -> Trial:
        """The same of a run under way; the time limit begins now."""
        until = time.monotonic() + TIME_LIMIT_S
        end, left = f"did not end in {TIME_LIMIT_S:.0f} s", 0
        while time.monotonic() < until:
            status = run.wait(SAMPLE_INTERVAL_S)
            if status is not None:
                end = exit_of(status)
                left = 0 if run.wait_until_alone(ALONE_WITHIN_S) else len(run.tree())
                break
            if run.peak > MEMORY_LIMIT:
                end = f"ended by the watchdog at {MEMORY_LIMIT / 1e9:.0f} GB"
                break
        seconds = run.seconds
        kill_all(run)
        return Trial(end, seconds, run.peak, self.account(), before, left)

    def await_moment(self, run: Run) -> bool:
        """Wait until ``part`` of the rows have been asked for, and a random bit; whether it still runs.

        The first tenth is the time before the first request.
        """
        until = time.monotonic() + TIME_LIMIT_S
        if self.part < 0.1:
            return run.wait(self.chance.uniform(0.0, 1.5)) is None
        asked = (self.part - 0.1) / 0.9 * ROWS
        while self.server.statistics()["requests"] <= asked and time.monotonic() < until:
            if run.wait(0.02) is not None:
                return False
        return run.wait(self.chance.uniform(0.0, 0.3)) is None


def exit_of(status: int) -> str:
    """An exit status in words."""
    return f"exit {status}" if status >= 0 else f"died of {signal.Signals(-status).name}"


def kill_all(run: Run) -> None:
    """Kill its tree until nothing of it is left: what is killed may just have started another."""
    while not run.wait_until_alone(0.5):
        run.kill_tree()


def downloaders(run: Run, port: int) -> list[int]:
    """The processes of a run that hold a connection to ``port``: its workers, whatever it names them."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{each[9]}]" for each in table if each[2].endswith(f":{port:04X}")}
    found = []
    for process_id in run.tree():
        try:
            opened = {str(each.readlink()) for each in Path(f"/proc/{process_id}/fd").iterdir()}
        except OSError:
            continue
        if opened & sockets:
            found.append(process_id)
    return found

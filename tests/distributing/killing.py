"""Has workers killed where a test says, on this machine, whoever has started them.

A module that Python loads at its start, and that only these tests put on the path, kills a process that moves
a file of a certain shard into its place. Clusters are started once, so what is to be killed is in a file.
Tests without it kill whom they find once so many shards are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.distributing.clusters import descendants

KILLER = """
import os, signal, sys

FOLDER = os.environ.get("KILLER_FOLDER", "")

def act(event, arguments):
    if event != "os.rename" or not FOLDER:
        return
    try:
        with open(f"{FOLDER}/script/what") as file:
            shard, deaths = file.read().split()
    except (OSError, ValueError):
        return
    if not os.path.basename(str(arguments[1])).startswith(shard):
        return
    for number in range(int(deaths)):
        try:
            os.close(os.open(f"{FOLDER}/script/{number}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(act)
"""


class Killing:
    """What is to be killed; ``environment`` is for the processes that may be."""

    def __init__(self, folder: Path) -> None:
        (folder / "sitecustomize.py").write_text(KILLER)
        self._script = folder / "script"
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        self.environment = {"PYTHONPATH": path, "KILLER_FOLDER": str(folder)}

    def script(self, shard: int, deaths: int) -> None:
        """Kill the first ``deaths`` times that a process moves a file of ``shard`` into its place."""
        self._script.mkdir()
        (self._script / "what").write_text(f"{shard:05d} {deaths}")

    def end(self) -> None:
        """Kill no more."""
        shutil.rmtree(self._script, ignore_errors=True)


@contextlib.contextmanager
def when_shards_are_there(folder: Path, shards: int, act: Callable[[], None]) -> Iterator[None]:
    """Do something in the middle of a run; it must have been done by the end of it."""
    done = threading.Event()

    def wait() -> None:
        while len(list(folder.glob("*_stats.json"))) < shards:
            time.sleep(0.05)
        act()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    yield
    assert done.is_set(), "the run was over before"


def processes_of(parent: int, part: str) -> list[int]:
    """The descendants of a process whose command line has a part."""
    found = []
    for process in descendants(parent):
        with contextlib.suppress(OSError):
            if part in Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                found.append(process)
    return found


def parent_of(process: int) -> int:
    """The process that has started another one."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def lives(process: int) -> bool:
    """Whether a process is there, and not only waited for by its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

"""Has workers killed where a test says, on this machine, whoever has started them.

A module that Python loads at its start, and that only these tests put on the path, kills a process that moves
a file of a certain shard into its place. Clusters are started once, so what is to be killed is in a file.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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

"""Which of the members of a run a task of Spark is, so that members share hosts' bounds without talking.

Spark does not say which of its tasks run at once. So each Python worker takes a number while it has a task,
by a lease in the output folder. In: how many members there are. Out: a number that no other has now.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator

from img2dataset.distributing.engine import Tell
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.folders import remove
from img2dataset.storage.leases import Leases
from img2dataset.storage.locations import Location
from img2dataset.storage.runs import new_run_id

# A worker that was killed has its number until it has been silent for so long.
GONE_S = 60.0
# Longer than that is not waited: there are more tasks than Spark had cores when the run began.
WAIT_S = 75.0
_LOOK_S = 2.0


def numbers_folder(run_id: str) -> str:
    """The folder of the numbers, in the output folder."""
    return f"{RUNS_FOLDER}/numbers-{run_id}"


@contextlib.contextmanager
def numbered(
    write: WriteSettings, name: str, members: int, first: int, tell: Tell, wait_s: float = WAIT_S
) -> Iterator[int]:
    """A number from 0 to ``members`` - 1 that nobody else has meanwhile.

    Args:
        write: names the folder and the run.
        name: of the member.
        members: how many numbers there are.
        first: the one that is tried first.
        tell: called where there is none: what the user is to know.
        wait_s: how long one is waited for.
    """
    location = write.locate()
    folder = f"{location.path}/{numbers_folder(write.run_id)}"
    leases = Leases(dataclasses.replace(location, path=folder), name, new_run_id(), GONE_S)
    leases.start()
    try:
        yield _taken(leases, members, first, tell, wait_s)
    finally:
        leases.close()


def _taken(leases: Leases, members: int, first: int, tell: Tell, wait_s: float) -> int:
    until = time.monotonic() + wait_s
    while True:
        for number in range(members):
            if leases.take(f"number-{(first + number) % members}"):
                return (first + number) % members
        if time.monotonic() >= until:
            tell(
                f"there are more tasks at once than the {members} that Spark had cores for when the run"
                " began: hosts may see more connections than their bound"
            )
            return first % members
        time.sleep(_LOOK_S)


def remove_numbers(location: Location, run_id: str) -> None:
    """Remove the folder of the numbers, at the end of a run. Never raises: it costs only its room."""
    with contextlib.suppress(Exception):
        remove(location, f"{location.path}/{numbers_folder(run_id)}")

"""Many shards checked at once, each in one of a few processes.

In: shards. Out: their checks, in the order in which they end. Called by ``verification``.

A process that dies, of a lack of memory or of an image that crashes a decoder, is one shard that could not be
checked and not the end of the verification.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator

from img2dataset.errors import Img2datasetError
from img2dataset.processes import Child, Ended, Heard, Program, bury, next_heard
from img2dataset.verifying.checking import CheckSettings, ShardToCheck, check_shard
from img2dataset.verifying.checking_process import CheckFailed, FromChecker, ToChecker
from img2dataset.verifying.report import ShardCheck

PROGRAM = Program("img2dataset.verifying.checking_process", "checker")
ENDING_TIME_S = 5.0

Checker = Child[ToChecker, FromChecker]


def check_shards(
    settings: CheckSettings, shards: Iterable[ShardToCheck], processes_count: int
) -> Iterator[ShardCheck]:
    """Check every shard, ``processes_count`` at once; with 1, in this process.

    Raises:
        MissingDependency: a package that a format needs is not installed.
        Img2datasetError: no process can be started.
    """
    if processes_count == 1:
        for shard in shards:
            yield check_shard(settings, shard)
        return
    checkers = Checkers(settings, processes_count)
    try:
        for shard in shards:
            if checkers.all_busy:
                yield checkers.next_check()
            checkers.begin(shard)
        while checkers.busy:
            yield checkers.next_check()
    finally:
        checkers.close()


class Checkers:
    """A few processes, each of which checks one shard after another; one that has died is replaced."""

    def __init__(self, settings: CheckSettings, processes_count: int) -> None:
        self._settings = settings
        self._processes_count = processes_count
        self._started = 0
        self._heard: queue.SimpleQueue[Heard[FromChecker] | Ended] = queue.SimpleQueue()
        self._children: dict[int, Checker] = {}
        self.busy: dict[int, ShardToCheck] = {}

    @property
    def all_busy(self) -> bool:
        """Whether an answer must come before another shard is begun."""
        return len(self.busy) >= self._processes_count

    def begin(self, shard: ShardToCheck) -> None:
        """Have a shard checked, when not all are busy.

        Raises:
            Img2datasetError: no process can be started.
        """
        idle = next((child for number, child in self._children.items() if number not in self.busy), None)
        child = idle or self._start()
        self.busy[child.number] = shard
        child.send(shard)

    def next_check(self) -> ShardCheck:
        """Wait for the next shard to be checked, or for what it was checked in to end.

        Raises:
            Img2datasetError: what the check itself raised.
        """
        while True:
            heard = next_heard(self._heard, list(self._children.values()))
            shard = self.busy.pop(heard.child, None)
            if isinstance(heard, Ended):
                self._children.pop(heard.child, None)
                if shard is not None:
                    return ShardCheck(
                        shard.found.shard_id, shard.found.name, unreadable=_how_it_ended(heard.exit_status)
                    )
            elif isinstance(heard.message, CheckFailed):
                raise heard.message.error
            else:
                return heard.message

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for child in self._children.values():
            child.kill()
        bury(self._children.values(), ENDING_TIME_S)

    def _start(self) -> Checker:
        self._started += 1
        try:
            child: Checker = Child(self._started, PROGRAM, self._heard.put)
        except (OSError, RuntimeError) as error:
            raise Img2datasetError(
                f"no process to check shards in can be started: {error}; give a lower --processes_count, or"
                " raise the limits of processes and open files (ulimit -u, ulimit -n)"
            ) from error
        child.send(self._settings)
        self._children[child.number] = child
        return child


def _how_it_ended(exit_status: int) -> str:
    return (
        f"the process that checked it ended with status {exit_status};"
        " a lower --processes_count needs less memory"
    )

"""A run as passes over the list: once over everything, then again over the shards that failed.

The list is read again for the later passes, so that nothing of a failed shard has to be kept: memory does
not grow with the number of failures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass

from img2dataset.distributing.engine import ReadAnew
from img2dataset.distributing.list_reader import broke_off
from img2dataset.errors import Img2datasetError, RunFailed
from img2dataset.types import PlannedShard, ShardReport

logger = logging.getLogger("img2dataset")

# A full disk or a store that is gone fails every shard: going over the whole list would only ask its servers
# for images that cannot be kept.
FAILURES_IN_A_ROW = 20

STOPPED_BEFORE = "it failed, and the run was stopped before it was tried again"

Read = Callable[[Container[int]], Iterator[PlannedShard]]
Run = Callable[[Iterable[PlannedShard]], Iterator[ShardReport]]


@dataclass(frozen=True, slots=True)
class _AllBut:
    """Contains every shard id except a few."""

    shard_ids: frozenset[int]

    def __contains__(self, shard_id: object) -> bool:
        return shard_id not in self.shard_ids


def run_passes(
    read: Read,
    run: Run,
    done: Container[int],
    max_shard_retry: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[ShardReport]:
    """Make all shards that are not done.

    Args:
        read: hands out the shards of the list, but those it is told to skip.
        run: makes shards; one pass.
        done: shards that need not be made.
        max_shard_retry: how many passes more there are over failed shards.
        stopped: whether the run has been asked to stop: then there is no further pass.

    Yields:
        One report a shard: its success, or its last failure.

    Raises:
        Img2datasetError: raised by ``read``; see ``Engine.run``.
        RunFailed: ``read`` raised another error; or many shards in a row could not be made (the message has
            the reason of the last).
    """

    def told_read(skip: Container[int]) -> Iterator[PlannedShard]:
        return _told_as_run_failed(read(skip))

    skip: Container[int] = done
    failed: set[int] = set()
    mistakes: set[str] = set()
    for passes_left in range(max_shard_retry, -1, -1):
        failed, waiting = set(), failed
        in_a_row = 0
        for report in run(ReadAnew(told_read, skip)):
            waiting.discard(report.shard_id)
            if report.traceback is not None:
                _tell_mistake(report.shard_id, report.traceback, mistakes)
            in_a_row = in_a_row + 1 if report.error is not None else 0
            if in_a_row >= FAILURES_IN_A_ROW:
                raise RunFailed(
                    f"{in_a_row} shards in a row could not be made, the last for this reason: {report.error};"
                    " the same command goes on when that is mended"
                )
            if report.error is not None and passes_left:
                logger.warning(
                    "shard %d failed (%s); it is tried again at the end", report.shard_id, report.error
                )
                failed.add(report.shard_id)
            else:
                yield report
        if stopped():
            for shard_id in sorted(failed | waiting):
                yield ShardReport(shard_id, error=STOPPED_BEFORE)
            return
        if not failed:
            return
        skip = _AllBut(frozenset(failed))


def _tell_mistake(shard_id: int, traceback: str, told: set[str]) -> None:
    """Log the traceback of a mistake in the program, once for each line of code: it may meet every shard."""
    frames = [line for line in traceback.splitlines() if line.startswith('  File "')]
    where = frames[-1] if frames else traceback
    if where not in told:
        told.add(where)
        logger.error(
            "shard %d failed by a mistake in the program, whose traceback is told once:\n%s",
            shard_id,
            traceback.rstrip(),
        )


def _told_as_run_failed(shards: Iterable[PlannedShard]) -> Iterator[PlannedShard]:
    """The shards; what is no error of a user's is told in a line, and its traceback logged, once."""
    try:
        yield from shards
    except Img2datasetError:
        raise
    except Exception as error:
        raise broke_off(error) from error

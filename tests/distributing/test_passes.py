"""Failed shards come round again at the end, by reading the list once more."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Container, Iterable, Iterator

import pyarrow as pa
import pytest

from img2dataset.distributing import run_passes
from img2dataset.errors import RunFailed
from img2dataset.types import Shard, ShardReport, ShardStats


def read_many(skip: Container[int]) -> Iterator[Shard]:
    for shard_id in range(1000):
        if shard_id not in skip:
            yield Shard(shard_id, pa.table({"url": ["http://127.0.0.1/"]}))


def read(skip: Container[int]) -> Iterator[Shard]:
    for shard_id in range(6):
        if shard_id not in skip:
            yield Shard(shard_id, pa.table({"url": ["http://127.0.0.1/"]}))


class FailsSometimes:
    """Fails each shard as often as it is told."""

    def __init__(self, failures: dict[int, int]):
        self.failures = failures
        self.tries: Counter[int] = Counter()

    def __call__(self, shards: Iterable[Shard]) -> Iterator[ShardReport]:
        for shard in shards:
            self.tries[shard.shard_id] += 1
            if self.tries[shard.shard_id] <= self.failures.get(shard.shard_id, 0):
                yield ShardReport(shard.shard_id, error="OSError: no space left on device")
            else:
                yield ShardReport(
                    shard.shard_id, ShardStats(shard.shard_id, 1, 1, 0, 0, 0.0, 1.0, {"success": 1})
                )


def test_every_shard_has_one_report_and_its_last_failure_counts() -> None:
    run = FailsSometimes({1: 1, 3: 9})
    reports = list(run_passes(read, run, done=set(), max_shard_retry=2))
    assert sorted(report.shard_id for report in reports) == [0, 1, 2, 3, 4, 5]
    assert [report.shard_id for report in reports if report.error] == [3]
    assert run.tries == {0: 1, 1: 2, 2: 1, 3: 3, 4: 1, 5: 1}


def test_done_shards_are_not_made_in_any_pass() -> None:
    run = FailsSometimes({1: 1})
    reports = list(run_passes(read, run, done={0, 2}, max_shard_retry=1))
    assert sorted(report.shard_id for report in reports) == [1, 3, 4, 5]
    assert run.tries[0] == run.tries[2] == 0


def test_without_retries_a_failure_is_final() -> None:
    run = FailsSometimes({1: 1})
    reports = {report.shard_id: report for report in run_passes(read, run, set(), 0)}
    assert reports[1].error is not None
    assert run.tries[1] == 1


def test_a_run_that_fails_every_shard_ends_soon_with_the_reason() -> None:
    run = FailsSometimes(dict.fromkeys(range(100, 1000), 9))
    with pytest.raises(RunFailed, match="no space left on device"):
        list(run_passes(read_many, run, set(), 1))
    assert len(run.tries) < 200


def test_no_pass_follows_when_the_run_was_told_to_stop() -> None:
    run = FailsSometimes({1: 1})
    list(run_passes(read, run, set(), 1, stopped=lambda: True))
    assert run.tries[1] == 1


@pytest.mark.parametrize("reports_before_the_stop", [6, 7, 8])
def test_a_shard_that_failed_before_a_stop_is_told_as_failed(reports_before_the_stop: int) -> None:
    """Whether its next try came to an end before the stop, or never began."""
    run = FailsSometimes({1: 9, 3: 9})

    def run_until_the_stop(shards: Iterable[Shard]) -> Iterator[ShardReport]:
        for report in run(shards):
            yield report
            if run.tries.total() == reports_before_the_stop:
                return

    def stopped() -> bool:
        return run.tries.total() >= reports_before_the_stop

    reports = list(run_passes(read, run_until_the_stop, set(), max_shard_retry=2, stopped=stopped))
    assert sorted(report.shard_id for report in reports) == [0, 1, 2, 3, 4, 5]
    assert sorted(report.shard_id for report in reports if report.error) == [1, 3]


def failed(shard_id: int) -> ShardReport:
    try:
        raise KeyError(f"of shard {shard_id}")  # the text differs, the line does not
    except KeyError as error:
        text = "".join(traceback.format_exception(error))
        return ShardReport(shard_id, error=repr(error), traceback=text)


def test_the_traceback_of_a_mistake_is_logged_once_a_place_however_many_shards_meet_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def run(shards: Iterable[Shard]) -> Iterator[ShardReport]:
        for shard in shards:
            yield failed(shard.shard_id)

    with caplog.at_level("WARNING"):
        reports = list(run_passes(read, run, set(), 1))
    assert len(reports) == 6
    told = [record.getMessage() for record in caplog.records if "Traceback" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("shard 0 failed by a mistake in the program")
    assert "KeyError: 'of shard 0'" in told[0]

"""The closing lines say what happened, whatever happened."""

from __future__ import annotations

from img2dataset.reporting import RunSummary
from img2dataset.types import ShardReport, ShardStats


def test_counts_are_summed_over_shards() -> None:
    summary = RunSummary("out", start_time=100.0)
    summary.add(
        ShardReport(
            0, ShardStats(0, 10, 7, 2, 1, 0.0, 1.0, {"success": 7, "HTTP 404": 2, "decode: corrupt": 1})
        )
    )
    summary.add(ShardReport(1, ShardStats(1, 5, 4, 1, 0, 0.0, 1.0, {"success": 4, "HTTP 404": 1})))
    summary.end_time = 103.0
    text = "\n".join(summary.lines())
    assert "15 rows in 2 shards, 3.0 s, 5 rows/s: 11 (73.3%) succeeded" in text
    assert "3 (20.0%) failed to download" in text
    assert "1 (6.7%) failed to resize" in text
    assert "         3  HTTP 404" in text
    assert summary.exit_status == 0


def test_a_failed_shard_makes_the_run_fail_and_is_named_with_its_reason() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0)
    summary.add(ShardReport(3, error="OSError: [Errno 28] No space left on device"))
    text = "\n".join(summary.lines())
    assert summary.exit_status == 1
    assert "1 shard could not be made" in text
    assert "shard 3: OSError: [Errno 28] No space left on device" in text


def test_nothing_done_is_said_without_a_division_by_zero() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=0.0, shards_skipped=4)
    assert "4 shards already done by an earlier run" in "\n".join(summary.lines())


def test_a_hundred_kinds_of_failure_do_not_make_a_hundred_lines() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0)
    messages = {f"HTTP {status}": 1 for status in range(400, 500)}
    summary.add(ShardReport(0, ShardStats(0, 100, 0, 100, 0, 0.0, 1.0, messages)))
    assert len(summary.lines()) < 20
    assert "in 90 other messages" in "\n".join(summary.lines())

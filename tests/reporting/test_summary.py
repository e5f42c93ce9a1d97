"""The closing lines say what happened, whatever happened."""

from __future__ import annotations

from img2dataset.failures import NOT_TRIED
from img2dataset.reporting.summary import RunSummary
from img2dataset.types import ShardMeasures, ShardReport, ShardStats


def troubled(hosts: dict[str, int]) -> ShardMeasures:
    return ShardMeasures(troubles={host: {"HTTP 503": rows} for host, rows in hosts.items()})


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


def test_a_run_with_nothing_to_do_says_what_is_there() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0, shards_skipped=4)
    summary.counts_before.update({"count": 4000, "successes": 3512})
    assert summary.lines()[:2] == [
        "nothing to do: 4,000 rows in 4 shards already done by an earlier run,",
        "  3,512 (87.8%) succeeded",
    ]


def test_a_run_in_which_nothing_succeeded_stands_out() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0)
    summary.add(ShardReport(0, ShardStats(0, 5, 0, 5, 0, 0.0, 1.0, {"HTTP 403": 5})))
    assert summary.exit_status == 0
    assert summary.lines()[0] == "WARNING: NOT ONE of 5 rows SUCCEEDED; the reasons are below"
    summary.add(ShardReport(1, ShardStats(1, 1, 1, 0, 0, 0.0, 1.0, {"success": 1})))
    assert "NOT ONE" not in str(summary)


def test_the_worst_hosts_and_what_can_be_won_back_are_named() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0, can_pass=60)
    for shard_id, (shop, museum) in enumerate([(40, 3), (20, 1)]):
        hosts = {"shop.example": shop, "museum.example:8080": museum, "once.example": 1, "": 2}
        failed = sum(hosts.values())
        stats = ShardStats(shard_id, 100, 100 - failed, failed, 0, 0.0, 1.0, {"HTTP 503": failed})
        summary.add(ShardReport(shard_id, stats, measures=troubled(hosts)))
    text = str(summary)
    assert "hosts with most downloads that failed: shop.example (60), museum.example:8080 (4)" in text
    assert "60 of the failures can pass: the same command with\n" in text
    assert "  --incremental_mode retry_failed tries them again\n" in text


def test_a_run_that_retries_already_is_not_told_to() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0, can_pass=2, retries_failed=True)
    summary.add(ShardReport(0, ShardStats(0, 5, 3, 2, 0, 0.0, 1.0, {"success": 3, "HTTP 503": 2})))
    text = " ".join(str(summary).split())
    assert "2 of the failures can pass: the same command tries them again" in text
    assert "--incremental_mode" not in text


def test_the_lines_fit_eighty_columns() -> None:
    failures = {"success": 900_000, "HTTP 503": 90_000, "decode: corrupt": 10_000}
    summary = RunSummary("out", start_time=0.0, end_time=3600.0, can_pass=90_000)
    for shard_id in range(100):
        each = {message: rows // 100 for message, rows in failures.items()}
        summary.add(ShardReport(shard_id, ShardStats(shard_id, 10_000, 9000, 900, 100, 0.0, 1.0, each)))
    stopped = ShardStats(100, 10_000, 6000, 900, 100, 0.0, 1.0, {"success": 6000, "HTTP 503": 1000})
    summary.add(ShardReport(100, unfinished=stopped))
    nothing = RunSummary("out", start_time=0.0, end_time=1.0, shards_skipped=100)
    nothing.counts_before.update({"count": 1_000_000, "successes": 900_000})
    lines = [*summary.lines(), *nothing.lines()]
    assert max(map(len, lines)) <= 80, max(lines, key=len)


def test_a_million_hosts_are_not_all_kept() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0)
    for shard_id in range(300):
        hosts = {f"host{shard_id}-{n}.example": 1 for n in range(50)} | {"worst.example": 50}
        stats = ShardStats(shard_id, 100, 0, 100, 0, 0.0, 1.0, {"HTTP 404": 100})
        summary.add(ShardReport(shard_id, stats, measures=troubled(hosts)))
    assert len(summary.failed_hosts) <= 10_050
    assert "worst.example (15,000)" in str(summary)


def test_a_notebook_shows_it_as_text_that_is_escaped() -> None:
    summary = RunSummary("out/<b>\x1b[31m", start_time=0.0, end_time=1.0)
    summary.add(ShardReport(0, ShardStats(0, 1, 1, 0, 0, 0.0, 1.0, {"success": 1})))
    shown = summary._repr_html_()
    assert shown.startswith("<pre>1 row in 1 shard")
    assert "&lt;b&gt;\\x1b[31m" in shown


def test_nothing_done_is_said_without_a_division_by_zero() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=0.0, shards_skipped=4)
    assert "4 shards already done by an earlier run" in "\n".join(summary.lines())


def test_a_hundred_kinds_of_failure_do_not_make_a_hundred_lines() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0)
    messages = {f"HTTP {status}": 1 for status in range(400, 500)}
    summary.add(ShardReport(0, ShardStats(0, 100, 0, 100, 0, 0.0, 1.0, messages)))
    assert len(summary.lines()) < 20
    assert "in 90 other messages" in "\n".join(summary.lines())


def test_one_of_anything_is_said_in_the_singular() -> None:
    summary = RunSummary("out", start_time=0.0, end_time=1.0, known_rows=1)
    messages = {f"HTTP {status}": 1 for status in range(400, 411)} | {"success": 1}
    summary.add(ShardReport(0, ShardStats(0, 12, 1, 11, 0, 0.0, 1.0, messages)), successes_before=0)
    cut_short = ShardStats(1, 5, 1, 4, 0, 0.0, 1.0, {"success": 1, NOT_TRIED: 4})
    summary.add(ShardReport(1, unfinished=cut_short))
    text = str(summary)
    assert "1 row of the list was there already" in text
    assert "1 shard taken up again: 1 more row succeeded" in text
    assert "  1 row, 1 image; the same command completes them" in text
    assert "in 1 other message\n" in text


def test_rows_that_stand_from_an_earlier_run_are_told_apart() -> None:
    """Of a shard that retry_failed takes up, only the failed rows were tried: the speed is theirs."""
    summary = RunSummary("out", start_time=0.0, end_time=1.0, can_pass=5, retries_failed=True)
    measures = ShardMeasures(hosts={"h": 5}, troubles={"h": {"HTTP 503": 5}}, taken_over=995)
    stats = ShardStats(0, 1000, 990, 10, 0, 0.0, 1.0, {"success": 990, "HTTP 404": 5, "HTTP 503": 5})
    summary.add(ShardReport(0, stats, measures=measures), successes_before=990)
    text = str(summary)
    assert "1,000 rows in 1 shard, 1.0 s, 5 rows/s" in text
    assert "of these rows 5 were tried now; 995 are as an earlier run left them" in text
    assert "hosts with most downloads that failed now: h (5)" in text
    assert "  5 of the failures can pass: the same command tries them again\n" in text
    assert (summary.facts.measured, summary.facts.hosts["h"]) == (5, 5)

"""What a whole run did: shard reports come in, the closing lines for people go out."""

from __future__ import annotations

import html
import textwrap
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from img2dataset.counted import counted
from img2dataset.failures import NOT_TRIED
from img2dataset.printable import printable
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import Finding, FindingKind
from img2dataset.shown_names import shown_name, without_secrets
from img2dataset.types import ShardReport, ShardStats

SHOWN_FAILURES = 10
SHOWN_SHARDS = 5
SHOWN_HOSTS = 3
# A host is named that has this share of the failed downloads.
LEAST_SHARE_OF_HOST = 0.02
SHOWN_FINDINGS = 3
_WIDTH = 78


@dataclass
class RunSummary:
    """The counts of one run, over the shards that it made.

    ``facts`` are the counts, and what else is known of those shards; ``findings`` what there is to say of it.
    ``shards_skipped`` are those an earlier run had finished; they are in no other count. ``known_rows`` are
    those ``new_only`` left out. ``shards_retried`` is what ``retry_failed`` took up again, ``recovered`` how
    many more rows succeeded by that. ``unfinished`` has the statistics of shards that a stop has cut short
    and that are kept for the next run. ``can_pass``: how many failures another run may win back;
    ``retries_failed`` that this one's options say so already. ``counts_before`` are the statistics of the
    shards skipped, summed, where this run made none. ``shards_of_others`` were made meanwhile by programs
    that share the folder, and are in no other count. ``error`` says why the run ended before its list did.
    ``report_page``: the page of the folder, where one was made. Times in Unix seconds.
    """

    output_folder: str
    start_time: float = field(default_factory=time.time)
    end_time: float = 0.0
    facts: Facts = field(default_factory=Facts)
    findings: list[Finding] = field(default_factory=list)
    shards_skipped: int = 0
    known_rows: int = 0
    recovered: int = 0
    shards_retried: int = 0
    failed_shards: dict[int, str] = field(default_factory=dict)
    unfinished: list[ShardStats] = field(default_factory=list)
    worker_deaths: list[str] = field(default_factory=list)
    error: str | None = None
    can_pass: int = 0
    retries_failed: bool = False
    counts_before: Counter[str] = field(default_factory=Counter)
    shards_of_others: int = 0
    report_page: str | None = None

    def add(self, report: ShardReport, successes_before: int | None = None) -> None:
        """Count one shard's final report; of one that was taken up again, with its successes before that."""
        self.facts.add_report(report)
        if report.stats is not None:
            if successes_before is not None:
                self.shards_retried += 1
                self.recovered += report.stats.successes - successes_before
        elif report.unfinished is not None:
            self.unfinished.append(report.unfinished)
        else:
            self.failed_shards[report.shard_id] = report.error or "unknown"

    @property
    def shards(self) -> int:
        """Shards made."""
        return self.facts.shards

    @property
    def count(self) -> int:
        """Rows of these shards."""
        return self.facts.count

    @property
    def successes(self) -> int:
        """Those of them that are in the dataset."""
        return self.facts.successes

    @property
    def failed_to_download(self) -> int:
        """Those of which no body was downloaded."""
        return self.facts.failed_to_download

    @property
    def failed_to_resize(self) -> int:
        """Those whose body gave no image to store."""
        return self.facts.failed_to_resize

    @property
    def status_dict(self) -> Counter[str]:
        """Rows by what became of them: ``success``, or the failure's text."""
        return self.facts.messages

    @property
    def failed_hosts(self) -> Counter[str]:
        """Rows that were not downloaded, by host."""
        return self.facts.failed_hosts

    def leave_to_others(self, shard_ids: set[int]) -> None:
        """Count shards that other programs have made meanwhile; one that has failed here has not failed."""
        self.shards_of_others = len(shard_ids)
        for shard_id in shard_ids & self.failed_shards.keys():
            del self.failed_shards[shard_id]

    @property
    def exit_status(self) -> int:
        """0 only if every shard is done."""
        return 1 if self.failed_shards or self.error else 0

    def lines(self) -> list[str]:
        """The summary as people read it."""
        lines = []
        if self.count and not self.successes:
            lines.append(f"WARNING: NOT ONE of {_rows(self.count)} SUCCEEDED; the reasons are below")
        lines += self._nothing_lines() if self._did_nothing else self._counts_lines()
        if self.shards_skipped and not self._did_nothing:
            lines.append(f"{_shards(self.shards_skipped)} already done by an earlier run")
        if self.shards_of_others:
            lines.append(f"{_shards(self.shards_of_others)} made by other ranks")
        if self.known_rows:
            were = "was" if self.known_rows == 1 else "were"
            lines.append(f"{_rows(self.known_rows)} of the list {were} there already")
        if self.shards_retried:
            lines.append(
                f"{_shards(self.shards_retried)} taken up again:"
                f" {counted(self.recovered, 'more row')} succeeded"
            )
        if self.unfinished:
            lines += self._unfinished_lines()
        lines += self._failure_lines()
        # The shards that could not be made have their own lines.
        lines += finding_lines(
            finding for finding in self.findings if finding.kind is not FindingKind.SHARDS_FAILED
        )
        if self.worker_deaths:
            reasons = ", ".join(f"{reason} ({n})" for reason, n in Counter(self.worker_deaths).most_common(3))
            lines.append(f"worker processes replaced: {reasons}")
            if any("memory" in reason for reason in self.worker_deaths):
                lines.append("  to need less memory: lower --processes_count, --body_memory or --image_size")
        if self.failed_shards:
            lines += self._failed_shard_lines()
        if self.error:
            lines.append(f"the run ended early: {self.error}")
        lines.append(f"output: {shown_name(self.output_folder)}")
        if self.report_page is not None:
            lines.append(f"report: {self.report_page}")
        return lines

    def __str__(self) -> str:
        return without_secrets(printable("\n".join(self.lines())))

    def _repr_html_(self) -> str:
        """What a notebook shows where a run is the last value of a cell."""
        return f"<pre>{html.escape(str(self))}</pre>"

    @property
    def _did_nothing(self) -> bool:
        made = self.shards or self.failed_shards or self.unfinished or self.error
        return bool(self.shards_skipped) and not made

    # Each line fits a terminal of 80 columns, up to a million rows.
    def _nothing_lines(self) -> list[str]:
        there = _shards(self.shards_skipped)
        if not self.counts_before:
            return [f"nothing to do: {there} already done by an earlier run"]
        succeeded = _share(self.counts_before["successes"], self.counts_before["count"])
        return [
            f"nothing to do: {_rows(self.counts_before['count'])} in {there} already done by an earlier run,",
            f"  {succeeded} succeeded",
        ]

    def _counts_lines(self) -> list[str]:
        seconds = max(self.end_time - self.start_time, 1e-9)
        before = self.facts.taken_over
        tried = self.count - before
        lines = [
            f"{_rows(self.count)} in {_shards(self.shards)}, {_duration(seconds)},"
            f" {tried / seconds:,.0f} rows/s: {_share(self.successes, self.count)} succeeded,",
            f"  {_share(self.failed_to_download, self.count)} failed to download,"
            f" {_share(self.failed_to_resize, self.count)} failed to resize",
        ]
        if before:
            lines.append(
                f"of these rows {tried:,} were tried now; {before:,} are as an earlier run left them"
            )
        return lines

    def _unfinished_lines(self) -> list[str]:
        images = sum(stats.successes for stats in self.unfinished)
        rows = sum(stats.count - stats.status_dict.get(NOT_TRIED, 0) for stats in self.unfinished)
        return [
            f"kept of {_shards(len(self.unfinished))} that could not be finished:",
            f"  {_rows(rows)}, {counted(images, 'image')}; the same command completes them",
        ]

    def _failure_lines(self) -> list[str]:
        failures = [(message, n) for message, n in self.status_dict.most_common() if message != "success"]
        lines = [f"  {n:>10,}  {message}" for message, n in failures[:SHOWN_FAILURES]]
        rest = failures[SHOWN_FAILURES:]
        if rest:
            lines.append(f"  {sum(n for _, n in rest):>10,}  in {counted(len(rest), 'other message')}")
        if not lines:
            return []
        if hosts := self._worst_hosts():
            now = " now" if self.facts.taken_over else ""
            lines.append(f"  hosts with most downloads that failed{now}: {hosts}")
        if self.can_pass:
            can_pass = f"  {self.can_pass:,} of the failures can pass: the same command"
            if self.retries_failed:
                lines.append(f"{can_pass} tries them again")
            else:
                lines += [f"{can_pass} with", "  --incremental_mode retry_failed tries them again"]
        return ["most frequent failures:", *lines]

    def _worst_hosts(self) -> str:
        """The hosts with the most failed downloads; none for a list whose every row has a host of its own."""
        worst = [
            f"{host or 'none named'} ({n:,})"
            for host, n in self.failed_hosts.most_common(SHOWN_HOSTS)
            if n > 1 and n >= self.failed_to_download * LEAST_SHARE_OF_HOST
        ]
        return ", ".join(worst)

    def _failed_shard_lines(self) -> list[str]:
        shown = list(self.failed_shards.items())[:SHOWN_SHARDS]
        lines = [f"  shard {shard_id}: {error}" for shard_id, error in shown]
        if len(self.failed_shards) > len(shown):
            lines.append(f"  and {len(self.failed_shards) - len(shown):,} more")
        return [
            f"{_shards(len(self.failed_shards))} could not be made; the same command tries them again:",
            *lines,
        ]


def finding_lines(findings: Iterable[Finding], heading: str = "findings:") -> list[str]:
    """The findings that matter most as people read them, each with its remedy; what matters most first."""
    shown = list(findings)[:SHOWN_FINDINGS]
    lines = _wrapped(heading, "  ") if shown else []
    for finding in shown:
        lines += _wrapped(f"- {finding.title}: {finding.cause}", "  ")
        lines += _wrapped(f"  -> {finding.remedy}", "     ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _rows(n: int) -> str:
    return counted(n, "row")


def _shards(n: int) -> str:
    return counted(n, "shard")


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "0"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

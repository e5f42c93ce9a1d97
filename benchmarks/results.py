"""From measurements to medians, ratios and the page ``results.md``. Pure but for ``save``; for ``run.py``.

A ratio is taken within a round, between runs that followed each other, and the median of the rounds is
reported: what slows the machine for a minute slows both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import PEER, PROJECT, Measurement

LIMIT = "the limit"
SETTING_TITLES = {
    "equal": "The same processes and threads on both sides",
    "defaults": "Default options on both sides",
}


@dataclass
class Group:
    """All rounds of one scenario under one setting; ``rounds`` has the measurements by contender."""

    scenario: str
    title: str
    setting: str
    rows: int
    arguments: str
    rounds: list[dict[str, Measurement]] = field(default_factory=list)

    def contenders(self) -> list[str]:
        """In the order they were run."""
        return list(dict.fromkeys(name for each in self.rounds for name in each))

    def good(self, contender: str) -> list[Measurement]:
        """The runs of a contender that can be compared."""
        runs = [each[contender] for each in self.rounds if contender in each]
        return [run for run in runs if run.failure is None]

    def failures(self) -> list[str]:
        """What went wrong, a line each."""
        return [
            f"{self.scenario}, {self.setting}, round {number}: {name}: {run.failure}"
            for number, each in enumerate(self.rounds, start=1)
            for name, run in each.items()
            if run.failure is not None
        ]


@dataclass(frozen=True)
class Medians:
    """The medians of a contender's runs in a group."""

    images_per_s: float
    cpu_ms: float
    server_cpu_ms: float
    peak_pss: float
    peak_rss: float
    successes: float
    rows: float


def medians(runs: Sequence[Measurement]) -> Medians | None:
    """The medians of ``runs``; None when there are none."""
    if not runs:
        return None
    return Medians(
        images_per_s=statistics.median(run.images_per_s for run in runs),
        cpu_ms=statistics.median(run.cpu_ms_per_image for run in runs),
        server_cpu_ms=statistics.median(
            run.server_cpu_seconds * 1000 / run.successes if run.successes else 0.0 for run in runs
        ),
        peak_pss=statistics.median(run.peak_pss for run in runs),
        peak_rss=statistics.median(run.peak_rss for run in runs),
        successes=statistics.median(run.successes for run in runs),
        rows=statistics.median(run.rows for run in runs),
    )


def ratios(group: Group, upper: str, lower: str, figure: str) -> list[float]:
    """``figure`` of ``upper`` over that of ``lower``, one value for each round both ended well."""
    pairs = [
        (each[upper], each[lower])
        for each in group.rounds
        if upper in each and lower in each and not (each[upper].failure or each[lower].failure)
    ]
    return [getattr(a, figure) / getattr(b, figure) for a, b in pairs if getattr(b, figure)]


def ratio_text(values: Sequence[float]) -> str:
    """Median and range: "7.42 × (7.30 to 7.55)"."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.2f} ×"
    return f"{statistics.median(values):.2f} × ({min(values):.2f} to {max(values):.2f})"


def table(groups: Sequence[Group]) -> list[str]:
    """The Markdown table of the groups of one setting."""
    lines = [
        "| scenario | program | images/s | CPU ms an image | peak PSS (RSS) | images | server's CPU ms |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group in groups:
        scenario = f"{group.title}, {group.rows} rows{group.arguments}"
        for name in group.contenders():
            lines.append(f"| {scenario} | {name} | {_cells(name, medians(group.good(name)))} |")
            scenario = ""
    return lines


def _cells(name: str, found: Medians | None) -> str:
    """The figures of one program in one scenario."""
    if found is None:
        return "failed | | | |"
    speed = f"{found.images_per_s:.1f} | {found.cpu_ms:.2f}"
    if name == LIMIT:
        return f"{speed} | | |"
    memory = f"{found.peak_pss / 1e6:.0f} ({found.peak_rss / 1e6:.0f}) MB"
    return f"{speed} | {memory} | {found.successes:.0f} | {found.server_cpu_ms:.2f}"


def ratio_lines(groups: Sequence[Group]) -> list[str]:
    """The Markdown table of this project over 1.47.0, and over the limit."""
    lines = [
        f"| scenario | throughput, over {PEER} | CPU an image, {PEER} over it | share of the limit |",
        "| --- | ---: | ---: | ---: |",
    ]
    for group in groups:
        throughput = ratio_text(ratios(group, PROJECT, PEER, "images_per_s"))
        cpu = ratio_text(ratios(group, PEER, PROJECT, "cpu_ms_per_image"))
        shares = ratios(group, PROJECT, LIMIT, "images_per_s")
        share = f"{statistics.median(shares):.0%}" if shares else "–"
        lines.append(f"| {group.title} | {throughput} | {cpu} | {share} |")
    return lines


def start_lines(rounds: Sequence[dict[str, Measurement]]) -> list[str]:
    """One line on what starting costs each contender, from runs over a list that is next to empty."""
    parts = []
    rows = max((run.rows for each in rounds for run in each.values()), default=0)
    for name in rounds[0] if rounds else ():
        runs = [each[name] for each in rounds if each[name].failure is None]
        if runs:
            seconds = statistics.median(run.seconds for run in runs)
            cpu_seconds = statistics.median(run.cpu_seconds for run in runs)
            parts.append(f"{name} {seconds:.1f} s ({cpu_seconds:.1f} s of CPU)")
    if not parts:
        return []
    return [f"Starting and ending, a list of {rows} rows: {', '.join(parts)}."]


def page(groups: Sequence[Group], head: Sequence[str]) -> str:
    """The whole of ``results.md``: ``head`` lines, then the tables of each setting, then what failed."""
    parts = ["# Benchmark results", "", *head]
    for setting, title in SETTING_TITLES.items():
        chosen = [group for group in groups if group.setting == setting]
        if chosen:
            parts += ["", f"## {title}", "", *ratio_lines(chosen), "", *table(chosen)]
    failures = [line for group in groups for line in group.failures()]
    if failures:
        parts += ["", "## Failed runs, left out of the medians", "", *(f"- {line}" for line in failures)]
    return "\n".join(parts) + "\n"


def save(text: str, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

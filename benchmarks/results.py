"""From measurements to medians, ratios and the page ``results.md``. Pure but for ``save``; for ``run.py``.

A ratio is taken within a round, between runs that followed each other, and the median of the rounds is
reported: what slows the machine for a minute slows both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
class Start:
    """What starting and ending costs a contender, whatever the list."""

    seconds: float
    cpu_seconds: float


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


def ratio_lines(groups: Sequence[Group], start: Mapping[str, Start]) -> list[str]:
    """The Markdown table of this project over 1.47.0, and over the limit."""
    lines = [
        f"| scenario | throughput, over {PEER} | starting left out | CPU an image, {PEER} over it "
        "| starting left out | share of the limit, starting left out |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for group in groups:
        steady = without_start(group, start)
        cells = [group.title]
        for figure, upper, lower in (
            ("images_per_s", PROJECT, PEER),
            ("cpu_ms_per_image", PEER, PROJECT),
        ):
            cells.append(ratio_text(ratios(group, upper, lower, figure)))
            cells.append(ratio_text(ratios(steady, upper, lower, figure)))
        shares = ratios(steady, PROJECT, LIMIT, "images_per_s")
        cells.append(f"{statistics.median(shares):.0%}" if shares else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def starts(rounds: Sequence[dict[str, Measurement]]) -> dict[str, Start]:
    """The medians by contender of runs over a list that is next to empty."""
    found = {}
    for name in rounds[0] if rounds else ():
        runs = [each[name] for each in rounds if each[name].failure is None]
        if runs:
            found[name] = Start(
                seconds=statistics.median(run.seconds for run in runs),
                cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
            )
    return found


def start_lines(start: Mapping[str, Start]) -> list[str]:
    """One line on what starting and ending costs."""
    parts = [f"{name} {each.seconds:.1f} s ({each.cpu_seconds:.1f} s of CPU)" for name, each in start.items()]
    return [f"Starting and ending, a list of a few rows: {', '.join(parts)}."] if parts else []


def without_start(group: Group, start: Mapping[str, Start]) -> Group:
    """The same runs, as if they had started before: what a run of hours does."""
    rounds = []
    for each in group.rounds:
        steady = {}
        for name, run in each.items():
            cost = start.get(name, Start(0.0, 0.0))
            seconds, cpu_seconds = run.seconds - cost.seconds, run.cpu_seconds - cost.cpu_seconds
            if seconds > 0 and cpu_seconds > 0:  # or the list was too short to say anything
                steady[name] = replace(run, seconds=seconds, cpu_seconds=cpu_seconds)
        rounds.append(steady)
    return replace(group, rounds=rounds)


def page(groups: Sequence[Group], head: Sequence[str], start: Mapping[str, Start]) -> str:
    """The whole of ``results.md``: ``head`` lines, then the tables of each setting, then what failed."""
    parts = ["# Benchmark results", "", *head, "", *start_lines(start)]
    for setting, title in SETTING_TITLES.items():
        chosen = [group for group in groups if group.setting == setting]
        if chosen:
            parts += ["", f"## {title}", "", *ratio_lines(chosen, start), "", *table(chosen)]
    failures = [line for group in groups for line in group.failures()]
    if failures:
        parts += ["", "## Failed runs, left out of the medians", "", *(f"- {line}" for line in failures)]
    return "\n".join(parts) + "\n"


def save(text: str, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

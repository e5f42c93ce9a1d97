"""Who is measured, how each is called, and how its output is counted. For ``rounds.py`` and ``memory.py``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import HERE
from benchmarks.process_tree import Usage, measure

PROJECT, PEER, DAFT = "this project", "img2dataset 1.47.0", "Daft"


@dataclass(frozen=True)
class Contender:
    """One program: its name in the tables and the interpreter of its environment."""

    name: str
    python: Path

    def command(self, url_list: Path, output: Path, rows_per_shard: int, more: Sequence[str]) -> list[str]:
        """The command that turns ``url_list`` into a dataset in ``output``, and ``more`` options."""
        if self.name == DAFT:
            return [str(self.python), str(HERE / "daft_pipeline.py"), str(url_list), str(output)]
        return [
            str(self.python.with_name("img2dataset")),
            *("--url_list", str(url_list), "--input_format", url_list.suffix.lstrip(".")),
            *("--url_col", "url", "--caption_col", "caption"),
            *("--output_folder", str(output), "--output_format", "webdataset"),
            *("--number_sample_per_shard", str(rows_per_shard)),
            *more,
        ]

    def count(self, output: Path) -> tuple[int, int]:
        """Rows accounted for and images made, as the dataset itself says."""
        if self.name == DAFT:
            counts = json.loads((output / "counts.json").read_text())
            return counts["rows"], counts["successes"]
        stats = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
        return sum(each["count"] for each in stats), sum(each["successes"] for each in stats)


@dataclass(frozen=True)
class Measurement:
    """One run of one contender. Memory in bytes, highest sum over the process tree; times in seconds."""

    contender: str
    rows: int
    successes: int
    seconds: float
    cpu_seconds: float
    cpu_complete: bool
    peak_pss: int
    peak_rss: int
    peak_uss: int
    server_cpu_seconds: float = 0.0
    failure: str | None = None

    @property
    def images_per_s(self) -> float:
        """Images made a second, from the start of the command to its end."""
        return self.successes / self.seconds if self.seconds else 0.0

    @property
    def cpu_ms_per_image(self) -> float:
        """CPU of the whole process tree, user and system, start included, by image made."""
        return self.cpu_seconds * 1000 / self.successes if self.successes else 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``results.json``."""
        return {
            **asdict(self),
            "images_per_s": self.images_per_s,
            "cpu_ms_per_image": self.cpu_ms_per_image,
        }


def run_contender(
    contender: Contender,
    url_list: Path,
    rows: int,
    rows_per_shard: int,
    more: Sequence[str],
    work: Path,
    environment: Mapping[str, str],
    time_limit_s: float,
) -> Measurement:
    """Run one contender over one list into an empty folder, and measure it.

    Args:
        contender: who.
        url_list: parquet with ``url`` and ``caption``.
        rows: of that list.
        rows_per_shard: for those that have shards.
        more: further options.
        work: folder for the dataset (removed afterwards) and the log (kept).
        environment: the variables it sees.
        time_limit_s: seconds after which it is ended.

    Returns:
        The figures, with ``failure`` when they cannot be compared: it did not end well, or lost rows.
    """
    output = work / "dataset"
    shutil.rmtree(output, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    log = work / f"{contender.name.replace(' ', '-')}.log"
    command = contender.command(url_list, output, rows_per_shard, more)
    usage = measure(command, log, environment, time_limit_s)
    try:
        counted, successes = contender.count(output)
    except (OSError, ValueError):
        counted, successes = 0, 0
    shutil.rmtree(output, ignore_errors=True)
    return Measurement(
        contender=contender.name,
        rows=counted,
        successes=successes,
        seconds=usage.seconds,
        cpu_seconds=usage.cpu_seconds,
        cpu_complete=usage.cpu_complete,
        peak_pss=usage.peak_pss,
        peak_rss=usage.peak_rss,
        peak_uss=usage.peak_uss,
        failure=failure_of(usage, counted, rows, time_limit_s, log),
    )


def failure_of(usage: Usage, counted: int, rows: int, time_limit_s: float, log: Path) -> str | None:
    """Why the figures of a run cannot be compared, if so."""
    if usage.stopped:
        return f"not finished after {time_limit_s:.0f} s"
    if usage.exit_status:
        return f"exit status {usage.exit_status}, see {log}"
    if counted != rows:
        return f"{counted} of {rows} rows accounted for, see {log}"
    return None

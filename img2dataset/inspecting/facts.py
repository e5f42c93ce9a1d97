"""The facts of a dataset, from its statistics and metadata alone: counts, failures, columns, a few rows.

In: a ``Dataset``. Out: ``DatasetFacts``, plain values. Of bounded size and time: of a folder with very many
shards, the statistics of some of them are read, chosen by a seed, and of one or two the metadata.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from img2dataset.formats.dataset import statistics_name
from img2dataset.formats.findings import Findings
from img2dataset.formats.tables import image_column
from img2dataset.inspecting.dataset import Dataset
from img2dataset.inspecting.failure_meaning import meaning_of
from img2dataset.manifest import RunRecord
from img2dataset.shown_names import shown_name
from img2dataset.storage.folders import side_by_side
from img2dataset.types import SUCCESS
from img2dataset.verifying.inventory import FoundShard
from img2dataset.verifying.statistics import Statistics, read_statistics
from img2dataset.work_line import with_line

# Statistics files that are read at most: some seconds on a store, and ten million rows at the usual size.
MOST_STATISTICS = 2000
MOST_FAILURES = 20
SHOWN_ROWS = 5
# Shards whose metadata are looked at for rows to show, until there are enough of them.
_SHARDS_FOR_ROWS = 3


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the metadata; ``example``: its value in a successful row that has one, else None."""

    name: str
    type: str
    example: Any = None


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Rows that failed with one message, and what it means."""

    message: str
    rows: int
    meaning: str


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is in a dataset.

    ``complete``: its last run made every shard; None where that is not known. ``shards_counted``: those whose
    statistics were read; ``rows`` to ``failures`` are of these. ``successes_of`` has the successes of each,
    by its name. ``shards_unreadable``: those of them whose statistics are broken. ``other_failures``: rows
    whose message is not among ``failures``. ``image_column``: where a table holds the images.
    ``options``: of the last run, as its record says.
    """

    output_folder: str
    url_list: str | None
    output_format: str | None
    complete: bool | None
    runs: int
    shards_done: int
    shards_not_done: int
    shards_kept: int
    shards_counted: int
    shards_unreadable: int
    rows: int
    successes: int
    failed_to_download: int
    failed_to_resize: int
    failures: list[FailureCount] = field(default_factory=list)
    other_failures: int = 0
    image_column: str | None = None
    columns: list[Column] = field(default_factory=list)
    sample_rows: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    successes_of: dict[str, int] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """This for JSON, without ``successes_of``."""
        document = asdict(self)
        del document["successes_of"]
        return document


def gather(dataset: Dataset, seed: int = 0, rows: int = SHOWN_ROWS) -> DatasetFacts:
    """The facts of a dataset.

    Args:
        dataset: opened.
        seed: of which shards are counted, where there are very many, and which rows are shown.
        rows: how many rows to show.

    Raises:
        OutputError: its files cannot be read.
    """
    chance = random.Random(seed)
    shards = dataset.shards
    counted = shards if len(shards) <= MOST_STATISTICS else _some(shards, MOST_STATISTICS, chance)
    statistics = _statistics(dataset, counted)
    messages: Counter[str] = Counter()
    for each in statistics.values():
        messages.update(each.status_dict)
    messages.pop(SUCCESS, None)
    shown, columns, images = _rows_and_columns(dataset, rows, chance)
    last = dataset.runs[-1] if dataset.runs else None
    return DatasetFacts(
        output_folder=shown_name(dataset.name),
        url_list=last.url_list if last is not None else None,
        output_format=_format_name(dataset, last),
        complete=None if last is None else last.ended is not None,
        runs=len(dataset.runs),
        shards_done=len(shards),
        shards_not_done=len(dataset.inventory.unfinished) + len(dataset.inventory.replaced),
        shards_kept=len(dataset.inventory.kept),
        shards_counted=len(counted),
        shards_unreadable=len(counted) - len(statistics),
        rows=sum(each.count for each in statistics.values()),
        successes=sum(each.successes for each in statistics.values()),
        failed_to_download=sum(each.failed_to_download for each in statistics.values()),
        failed_to_resize=sum(each.failed_to_resize for each in statistics.values()),
        failures=[
            FailureCount(message, count, meaning_of(message))
            for message, count in messages.most_common(MOST_FAILURES)
        ],
        other_failures=sum(count for _, count in messages.most_common()[MOST_FAILURES:]),
        image_column=images,
        columns=columns,
        sample_rows=shown,
        options=dict(last.options) if last is not None else {},
        successes_of={name: each.successes for name, each in statistics.items()},
    )


def _some(shards: Sequence[FoundShard], count: int, chance: random.Random) -> list[FoundShard]:
    """``count`` of the shards, by chance, in their order."""
    return [shards[number] for number in sorted(chance.sample(range(len(shards)), count))]


def _statistics(dataset: Dataset, shards: list[FoundShard]) -> dict[str, Statistics]:
    """The statistics of these shards by name; what is broken is left out."""
    location = dataset.location

    def read(shard: FoundShard) -> Statistics | None:
        name = statistics_name(shard.name)
        contents = location.tried(lambda: location.file_system.cat_file(dataset.path_of(name)))
        return read_statistics(contents, name, Findings())

    with dataset.reading("a statistics file"):
        found = list(
            side_by_side(location, read, with_line(shards, "reading statistics", "shards", len(shards)))
        )
    return {shard.name: each for shard, each in zip(shards, found, strict=True) if each is not None}


def _format_name(dataset: Dataset, last: RunRecord | None) -> str | None:
    if dataset.shards:
        return dataset.format_of(dataset.shards[0]).name
    name = last.options.get("output_format") if last is not None else None
    return name if isinstance(name, str) else None


def _rows_and_columns(
    dataset: Dataset, count: int, chance: random.Random
) -> tuple[list[dict[str, Any]], list[Column], str | None]:
    """A few rows of shards chosen by chance, the columns with an example each, and the column of images."""
    shards = [shard for shard in dataset.shards if dataset.has_metadata(shard)]
    if not shards:
        return [], [], None
    rows: list[dict[str, Any]] = []
    chosen = chance.sample(shards, min(_SHARDS_FOR_ROWS, len(shards)))
    for shard in chosen:
        total = dataset.row_count(shard)
        # Examples need rows that succeeded: a few more than are shown are looked at.
        numbers = chance.sample(range(total), min(total, 8 * max(count, 1)))
        rows += dataset.rows_at(shard, numbers)
        if any(row.get("status") == SUCCESS for row in rows):
            break
    schema = dataset.schema(chosen[0])
    good = sorted(rows, key=lambda row: row.get("status") != SUCCESS)
    images = image_column(schema)
    columns = [
        Column(
            each.name, str(each.type), next((row[each.name] for row in good if _says(row, each.name)), None)
        )
        for each in schema
    ]
    return chance.sample(rows, min(count, len(rows))), columns, images


def _says(row: dict[str, Any], name: str) -> bool:
    return row.get(name) not in (None, "", "{}")

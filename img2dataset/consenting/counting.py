"""What was honoured and what was seen, counted: statistics and metadata of a folder come in, counts go out.

Rows that were left out are counted from their failures, which every folder has, those of 1.47.0 too. What
was seen besides is in the column ``consent``, of runs with ``save_consent``.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from img2dataset.consenting.folder import (
    OnProblem,
    all_statistics,
    readable_batches,
    shards_with_metadata,
)
from img2dataset.failures import PAYMENT_REQUIRED, prices_in
from img2dataset.fetching.listed_hosts import listed_host
from img2dataset.formats import consent_ledger
from img2dataset.formats.dataset import CONSENT_COLUMN
from img2dataset.reporting.facts import MOST_HOSTS
from img2dataset.reporting.report.columns import texts_of
from img2dataset.reporting.report.folder import Folder, Statistics
from img2dataset.reporting.report.former_messages import failure_of, in_todays_words
from img2dataset.storage.folders import side_by_side
from img2dataset.types import Says

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_HOSTS, MOST_HOSTS_TOLD = 20, 1000
OPT_OUT = "opt-out"
_COLUMNS = ("url", "error_message", CONSENT_COLUMN)
# A signal as it is counted: its kind, what it says, whether it was honoured.
Signal = tuple[str, Says, bool]


@dataclass
class ColumnCounts:
    """What the metadata of shards say.

    ``signals``: rows by signal. ``left_out``: rows by host that were left out since their site did not want
    them taken, or wanted to be paid; ``reserved``: rows by host of which a signal says no, honoured or not.
    ``kept``: rows with an image of which a signal says no or sets conditions.
    Of very many hosts the counts are of those that have most. ``shards``: those that were read,
    ``with_column`` those of them that have the column ``consent``; ``broken``: cells of it that cannot be
    read.
    """

    shards: int = 0
    with_column: int = 0
    signals: Counter[Signal] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    reserved: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    kept: int = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """Count these rows."""
        names = batch.schema.names
        nothing = [None] * batch.num_rows
        messages = texts_of(batch["error_message"]).to_pylist() if "error_message" in names else nothing
        ledger = consent_ledger.position_in(names)
        cells = texts_of(batch.column(ledger)).to_pylist() if ledger is not None else nothing
        urls = texts_of(batch["url"]) if "url" in names else None
        for row, (message, cell) in enumerate(zip(messages, cells, strict=True)):
            if message is None and cell is None:
                continue
            is_left_out = message is not None and is_of_consent(failure_of(message))
            said = self._take_cell(cell) if cell is not None else frozenset()
            self.kept += message is None and not said.isdisjoint(("no", "conditions"))
            is_reserved = "no" in said
            if (is_left_out or is_reserved) and urls is not None:
                host = listed_host(urls[row].as_py())
                self.left_out[host] += is_left_out
                self.reserved[host] += is_reserved
        self._bound()

    def _take_cell(self, cell: str) -> frozenset[Says]:
        """Count the signals of a cell; what they say."""
        found = _signals_of(cell)
        if found is None:
            self.broken += 1
            return frozenset()
        self.signals.update(found)
        return frozenset(says for _, says, _ in found)

    def add(self, other: ColumnCounts) -> None:
        """Take the counts of other rows in."""
        self.shards += other.shards
        self.with_column += other.with_column
        self.broken += other.broken
        self.kept += other.kept
        self.signals.update(other.signals)
        self.left_out.update(other.left_out)
        self.reserved.update(other.reserved)
        self._bound()

    def _bound(self) -> None:
        for counter in (self.left_out, self.reserved):
            if len(counter) > 4 * MOST_HOSTS:
                kept = counter.most_common(MOST_HOSTS)
                counter.clear()
                counter.update(dict(kept))


@dataclass(frozen=True)
class ConsentCounts:
    """What is known of a folder. ``messages``: rows by failure, in today's words, and ``success``."""

    folder: Folder
    statistics: Statistics
    columns: ColumnCounts

    @functools.cached_property
    def messages(self) -> Counter[str]:
        return in_todays_words(self.statistics.messages)

    @property
    def rows(self) -> int:
        """All rows of the shards whose statistics could be read."""
        return sum(stats.count for stats in self.statistics.each)

    @property
    def images(self) -> int:
        """Those with an image."""
        return sum(stats.successes for stats in self.statistics.each)

    @property
    def left_out(self) -> dict[str, int]:
        """Rows by the opt-out that they were left out for, the most first."""
        found = Counter(
            {message: rows for message, rows in self.messages.items() if message.startswith(OPT_OUT) and rows}
        )
        return dict(found.most_common())

    @property
    def unpaid(self) -> int:
        """Rows whose site wanted to be paid."""
        return sum(rows for message, rows in self.messages.items() if message.startswith(PAYMENT_REQUIRED))

    @property
    def prices(self) -> dict[str, tuple[int, Decimal]]:
        """The rows with a price by currency, and the sum that was asked."""
        return prices_in(self.messages)

    @property
    def hosts(self) -> list[tuple[str, int, int]]:
        """Each host with its rows that were left out, and those of which a signal says no; the most first."""
        columns = self.columns
        names = set(columns.left_out) | set(columns.reserved)
        found = ((name, columns.left_out[name], columns.reserved[name]) for name in names)
        return sorted(found, key=lambda host: (-max(host[1:]), -host[1], host[0]))

    def to_document(self) -> dict[str, Any]:
        """This as JSON values; at most ``MOST_HOSTS_TOLD`` hosts."""
        columns, hosts = self.columns, self.hosts
        return {
            "output": self.folder.location.name,
            "shards": len(self.folder.shards),
            "rows": self.rows,
            "images": self.images,
            "left_out": self.left_out,
            "asked_to_pay": self.unpaid,
            "prices": {
                currency: {"rows": rows, "sum": f"{total:f}"}
                for currency, (rows, total) in self.prices.items()
            },
            "shards_with_column": columns.with_column,
            "signals": [
                {"signal": signal, "says": says, "honoured": honoured, "rows": rows}
                for (signal, says, honoured), rows in columns.signals.most_common()
            ],
            "images_with_a_no": columns.kept if columns.with_column else None,
            "broken_cells": columns.broken,
            "hosts": [
                {"host": host, "left_out": left_out, "reserved": reserved}
                for host, left_out, reserved in hosts[:MOST_HOSTS_TOLD]
            ],
            "hosts_more": max(0, len(hosts) - MOST_HOSTS_TOLD),
        }


def count(folder: Folder, on_problem: OnProblem, on_shard: Callable[[int], object]) -> ConsentCounts:
    """Count a folder.

    Args:
        folder: whose statistics, and some columns, are read.
        on_problem: told what cannot be read; it is left out.
        on_shard: called with 1 when the columns of a shard are counted.
    """

    def count_shard(shard: str) -> ColumnCounts:
        counts = ColumnCounts(shards=1)
        for batch in readable_batches(folder, shard, _COLUMNS, on_problem):
            if batch is None:
                return ColumnCounts()
            counts.with_column = int(consent_ledger.position_in(batch.schema.names) is not None)
            counts.take(batch)
        return counts

    counts = ColumnCounts()
    statistics = all_statistics(folder, on_problem)
    for of_shard in side_by_side(folder.location, count_shard, shards_with_metadata(folder, on_problem)):
        counts.add(of_shard)
        on_shard(1)
    return ConsentCounts(folder, statistics, counts)


def is_of_consent(failure: str) -> bool:
    """Whether a row that fails so was left out for its site's wish, or was not paid for."""
    return failure.startswith((OPT_OUT, PAYMENT_REQUIRED))


@functools.lru_cache(4096)
def _signals_of(cell: str) -> frozenset[Signal] | None:
    """Each signal of a cell once; None if it cannot be read."""
    try:
        return frozenset((each.signal, each.says, each.is_honoured) for each in consent_ledger.of_text(cell))
    except ValueError:
        return None

"""Counts as people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from img2dataset.consenting.counting import SHOWN_HOSTS, ConsentCounts, Signal
from img2dataset.counted import counted

NO_COLUMN = (
    "signals: not kept: the folder has no column consent;",
    "  a run with --save_consent True keeps all that is said of each row",
)


def lines_of_counts(counts: ConsentCounts) -> list[str]:
    """What was honoured and seen, some lines."""
    lines = [
        f"output: {counts.folder.location.name}",
        f"rows: {counts.rows:,} in {counted(len(counts.folder.shards), 'shard')},"
        f" {counts.images:,} with an image",
        f"left out, as their site wishes: {counted(sum(counts.left_out.values()), 'row')}",
        *table(counts.left_out),
    ]
    if counts.unpaid:
        sums = ", ".join(f"{currency} {total:f}" for currency, (_, total) in counts.prices.items())
        lines.append(
            f"left out, as they are sold: {counted(counts.unpaid, 'row')}, {sums or 'without a price'}"
        )
    return [*lines, *_signals(counts), *_hosts(counts)]


def _signals(counts: ConsentCounts) -> list[str]:
    columns = counts.columns
    if not columns.with_column:
        return [*NO_COLUMN]
    part = ""
    if columns.with_column < len(counts.folder.shards):
        part = f", of the {columns.with_column:,} shards that have the column consent"
    lines = [f"signals by rows{part}:" if columns.signals else f"signals: none was seen{part}"]
    lines += table(signals_in_words(columns.signals))
    lines.append(f"with an image, though a signal says no or sets conditions: {counted(columns.kept, 'row')}")
    if columns.broken:
        lines.append(f"WARNING: {counted(columns.broken, 'cell')} of the column consent cannot be read")
    return lines


def signals_in_words(signals: Mapping[Signal, int]) -> list[tuple[str, int]]:
    """Kinds of signals in words, with their rows; only of what forbids it is said whether it is honoured."""
    found: Counter[str] = Counter()
    for (kind, says, is_honoured), rows in signals.items():
        how = f", {'honoured' if is_honoured else 'not honoured'}" if says in ("no", "conditions") else ""
        found[f"{kind}, says {says}{how}"] += rows
    return found.most_common()


def _hosts(counts: ConsentCounts) -> list[str]:
    hosts = counts.hosts
    if not hosts:
        return []
    shown = [(host or "(none)", left_out, reserved) for host, left_out, reserved in hosts[:SHOWN_HOSTS]]
    width = max(len("hosts:"), *(len(host) for host, _, _ in shown))
    lines = [f"{'hosts:':{width + 2}}  {'left out':>9}  {'with a no':>9}"]
    lines += [f"  {host:{width}}  {left_out:>9,}  {reserved:>9,}" for host, left_out, reserved in shown]
    if len(hosts) > len(shown):
        lines.append(f"  and {len(hosts) - len(shown):,} more (--json has more)")
    return lines


def table(rows: Mapping[str, int] | Iterable[tuple[str, int]]) -> list[str]:
    """Names and their numbers, one below the other."""
    pairs = list(dict(rows).items())
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"  {name:{width}}  {number:>9,}" for name, number in pairs]

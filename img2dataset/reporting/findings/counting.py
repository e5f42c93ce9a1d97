"""Rows of a run counted by their failures, and the finding that they make. Used by the rules of findings.

The texts of failures are those of the table of ``failures``, and never written down here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from img2dataset.counted import counted
from img2dataset.failures import Failure
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings.finding import Finding, FindingKind

RETRY = "--incremental_mode retry_failed later"


def rows_with(facts: Facts, kinds: Iterable[Failure]) -> int:
    return sum(facts.messages.get(kind, 0) for kind in kinds)


def rows_beginning(facts: Facts, *beginnings: str) -> int:
    return sum(rows for message, rows in facts.messages.items() if message.startswith(beginnings))


def hosts_with(facts: Facts, *beginnings: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for host, messages in facts.troubles.items():
        if rows := sum(n for message, n in messages.items() if message.startswith(beginnings)):
            found[host] = rows
    return found


def share_of(rows: int, facts: Facts) -> float:
    return rows / facts.count if facts.count else 0.0


def _of_rows(rows: int, facts: Facts) -> str:
    return f"{rows:,} of {counted(facts.count, 'row')} ({share_of(rows, facts):.0%})"


def _hosts_named(hosts: Counter[str], most: int = 3) -> str:
    named = ", ".join(f"{host or 'no host'} ({rows:,})" for host, rows in hosts.most_common(most))
    return f"{named}{', …' if len(hosts) > most else ''}"


def finding_of_rows(
    facts: Facts,
    kind: FindingKind,
    rows: int,
    what: str,
    cause: str,
    remedy: str,
    hosts: Counter[str] | None = None,
) -> Finding | None:
    """A finding about rows that have failed; None if there are none."""
    if not rows:
        return None
    evidence: dict[str, object] = {"rows": rows, "share": round(share_of(rows, facts), 4)}
    if hosts:
        evidence["hosts"] = dict(hosts.most_common(10))
        cause = f"{cause}; most on {_hosts_named(hosts)}" if len(hosts) > 1 else cause
    return Finding(kind, share_of(rows, facts), f"{_of_rows(rows, facts)} {what}", cause, remedy, evidence)

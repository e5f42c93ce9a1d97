"""What a run's folder says, as one JSON document: followed logs and a status come in. Pure.

Used by ``live_page``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import find
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.live.series import recent_rate, series_of
from img2dataset.types import SUCCESS

SHOWN_FAILURES, SHOWN_HOSTS, SHOWN_MEMBERS, SHOWN_FINDINGS = 15, 15, 50, 10
# A program tells of itself every ten seconds, rarer the longer it lasts (``event_log.MOST_LINES``).
SILENT_S, SILENT_SHARE = 60.0, 1 / 1000
RUNNING, ENDED, FAILED, SILENT, UNKNOWN = "running", "ended", "failed", "silent", "unknown"


def last_run(logs: Sequence[FollowedLog]) -> list[FollowedLog]:
    """The logs of the last run: the latest, and those of the programs that were at work in its time too.

    Args:
        logs: of a folder, in the order of their beginnings.
    """
    run: list[FollowedLog] = []
    for log in sorted(logs, key=lambda log: log.run.time):
        if run and log.run.time > max(each.heard for each in run):
            run = []
        run.append(log)
    return run


def view_of(
    output: str, logs: Sequence[FollowedLog], status: Mapping[str, Any], now: float, is_heard: bool = False
) -> dict[str, Any]:
    """What the page shows.

    Args:
        output: the folder, without what is secret in it.
        logs: of the run that is shown.
        status: what ``img2dataset status --json`` says of the folder; empty where it says nothing.
        now: Unix seconds.
        is_heard: whether the logs have grown of late, whatever their clocks say.
    """
    document: dict[str, Any] = {
        "output": output,
        "list": status.get("url_list") or (logs[-1].run.url_list if logs else "") or None,
        "now": now,
        "state": state_of(logs, status, now, is_heard),
        "members": _members(status),
        "shards_in_folder": status.get("shards_done"),
        "shards_open": status.get("shards_open"),
    }
    return document | (_of_logs(logs, status) if logs else {})


def state_of(logs: Sequence[FollowedLog], status: Mapping[str, Any], now: float, is_heard: bool) -> str:
    """Whether the run goes on: ``running``, ``ended``, ``failed``, ``silent`` or ``unknown``."""
    if not logs or not logs[-1].run.run:
        return ENDED if status.get("complete") else UNKNOWN
    at_work = [log for log in logs if log.end is None]
    if any(is_heard or now - log.heard <= _silent_after(log) for log in at_work):
        return RUNNING
    if at_work:
        return SILENT
    return FAILED if any(log.end is not None and log.end.exit_status for log in logs) else ENDED


def _silent_after(log: FollowedLog) -> float:
    return max(SILENT_S, (log.heard - log.run.time) * SILENT_SHARE)


def _of_logs(logs: Sequence[FollowedLog], status: Mapping[str, Any]) -> dict[str, Any]:
    facts = Facts()
    rows: Counter[str] = Counter()
    for log in logs:
        facts.add(log.facts)
        rows.update(log.rows)
    run = logs[-1].run
    began, heard = min(log.run.time for log in logs), max(log.heard for log in logs)
    done = sum(rows.values())
    rate = recent_rate(logs, "rows_per_second")
    of_list = status.get("rows_of_list") or max((log.rows_of_list or 0 for log in logs), default=0) or None
    return {
        "began": began,
        "heard": heard,
        "engine": run.surroundings.engine if run.run else None,
        "version": run.surroundings.version or None,
        "host": run.surroundings.host or None,
        "errors": [log.end.error for log in logs if log.end is not None and log.end.error][:3],
        "rows": {"done": done, "of_list": of_list, **{name: rows.get(name, 0) for name in _STATUSES}},
        "success_share": rows.get(SUCCESS, 0) / done if done else None,
        "rows_per_second": rate,
        "mean_rows_per_second": done / (heard - began) if heard > began else None,
        "seconds_left": status.get("seconds_left"),
        "shards": {"done": facts.shards, "failed": facts.failed_shards, "rows": facts.count},
        "bytes_in": facts.bytes_in,
        "bytes_out": facts.bytes_out,
        "bytes_per_second": recent_rate(logs, "bytes_per_second"),
        "cores_used": recent_rate(logs, "cores"),
        "cores": run.surroundings.cores or None,
        "memory": sum(log.points[-1].memory or 0 for log in logs if log.points and log.end is None) or None,
        "memory_limit": run.surroundings.memory or None,
        "failures": [
            {"message": message, "rows": count, "share": count / facts.count if facts.count else 0.0}
            for message, count in facts.messages.most_common(SHOWN_FAILURES + 1)
            if message != SUCCESS
        ][:SHOWN_FAILURES],
        "hosts": _hosts(facts),
        "findings": _findings(logs, facts),
        "series": series_of(logs),
    }


_STATUSES = (SUCCESS, "failed_to_download", "failed_to_resize")


def _hosts(facts: Facts) -> list[dict[str, Any]]:
    """Those with the most rows that were not downloaded, then those with the most rows."""
    troubled = [host for host, _ in facts.worst_hosts(SHOWN_HOSTS)]
    names = dict.fromkeys([*troubled, *(host for host, _ in facts.hosts.most_common(SHOWN_HOSTS))])
    found = []
    for host in list(names)[:SHOWN_HOSTS]:
        messages = facts.troubles.get(host, Counter())
        failed = messages.total()
        most = messages.most_common(1)
        found.append(
            {
                "host": host,
                "rows": max(facts.hosts.get(host, 0), failed),
                "failed": failed,
                "most_frequent": most[0][0] if most else None,
            }
        )
    return found


def _findings(logs: Sequence[FollowedLog], facts: Facts) -> list[dict[str, Any]]:
    if len(logs) == 1 and (end := logs[0].end) is not None:
        return end.findings[:SHOWN_FINDINGS]
    found = find(facts, logs[-1].run.surroundings)
    return [finding.to_document() for finding in found[:SHOWN_FINDINGS]]


def _members(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = ("name", "engine", "host", "state", "silent_s", "shards_done", "shards_failed", "rows_per_second")
    members = status.get("members", [])[:SHOWN_MEMBERS]
    return [{name: member[name] for name in names} for member in members]

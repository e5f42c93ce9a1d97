"""``img2dataset status OUTPUT``: words come in, a few lines or JSON go out, and an exit status.

Called by the command line.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.reporting.summary import finding_lines
from img2dataset.status.folder_findings import folder_findings
from img2dataset.status.folder_status import AT_WORK, ENDED, MemberStatus, Status, folder_status
from img2dataset.stopping import end_on_signals

SHOWN_MEMBERS = 30

_PAGE = """\
usage: img2dataset status OUTPUT [--json]

How far a run is: its members and when they were last heard of, shards done,
open and failed, rows, rate, time left, and why images are missing or what
limits the speed. From any machine that sees the output folder, of every engine;
it reads only, and not the shards.

  OUTPUT  the output folder, on any fsspec file system
  --json  the same for programs

Exit status: 0, or 1 where OUTPUT cannot be read or has nothing of a run, 2 for
wrong usage."""


def run(words: list[str]) -> int:
    """Show the status of what the words name; ``words``: those after ``status``.

    Returns:
        The exit status: 0, 1 where there is nothing to show, 2 for wrong usage.
    """
    try:
        with end_on_signals("img2dataset: stopped"):
            asked = _parser().parse_args(words)
            if asked.help:
                return say(_PAGE)
            if asked.output is None:
                raise OptionError(
                    "status needs the output folder; img2dataset status --help says how it is used"
                )
            status = folder_status(asked.output)
            findings, shards = folder_findings(asked.output)
    except Img2datasetError as error:
        return refused(error)
    if asked.json:
        document = dataclasses.asdict(status)
        document["findings"] = [finding.to_document() for finding in findings]
        document["findings_shards"] = shards
        return say(json.dumps(document, indent=2))
    return say("\n".join([*lines(status), *finding_lines(findings, _heading(shards, status.shards_done))]))


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("status")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--json", action="store_true")
    return parser


def _heading(shards: int, shards_done: int) -> str:
    if shards >= shards_done:
        return "findings:"
    return (
        f"findings, of {shards:,} of the {counted(shards_done, 'shard')}: those that were logged since a run"
        " began anew or took up failed rows; img2dataset report has those of all"
    )


def lines(status: Status) -> list[str]:
    """A status as people read it."""
    found = [
        f"output: {status.output_folder}",
        f"list: {status.url_list or 'not known'}{_rows_of_list(status)}",
        _shards(status),
        _rows(status),
        _time_left(status),
    ]
    return [*found, *_members(status.members)]


def _rows_of_list(status: Status) -> str:
    if status.rows_of_list is None:
        return ", number of rows not known (yet)"
    return f", {counted(status.rows_of_list, 'row')}"


def _shards(status: Status) -> str:
    parts = [f"{status.shards_done:,} done"]
    if status.shards_open is not None:
        parts.append(f"{status.shards_open:,} open")
    elif not status.complete:
        parts.append("open: not known")
    if status.shards_kept:
        parts.append(f"{status.shards_kept:,} kept unfinished")
    parts.append(f"{status.shards_failed:,} failed")
    return f"shards: {', '.join(parts)}{'; every one of the list is done' if status.complete else ''}"


def _rows(status: Status) -> str:
    if not status.members:
        # Processes note what becomes of their rows from their tenth second on.
        done = "not known" if status.rows_done is None else f"{status.rows_done:,} of shards that are done"
        folder = shlex.quote(status.output_folder)
        return f"rows: {done};\n  img2dataset inspect {folder} says what became of them"
    by_status = ", ".join(f"{count:,} {name}" for name, count in status.rows.items()) or "none yet"
    return f"rows, by members since they were last started: {by_status}"


def _time_left(status: Status) -> str:
    if not status.members and not status.complete:
        return "rate: not known, nor whether a run is at work"
    if status.complete or not any(member.state == AT_WORK for member in status.members):
        return "rate: nobody is at work"
    rate = f"rate: {status.rows_per_second:,.0f} rows/s"
    if status.seconds_left is None:
        return f"{rate}; time left not known"
    return f"{rate}; about {_duration(status.seconds_left)} left"


def _members(members: list[MemberStatus]) -> list[str]:
    if not members:
        return []
    states = {state: sum(1 for member in members if member.state == state) for state in _states(members)}
    found = [f"members: {', '.join(f'{count:,} {state}' for state, count in states.items())}"]
    # Who needs to be looked after comes first.
    shown = sorted(members, key=lambda member: (_ORDER.get(member.state, 0), member.name))
    found += map(_member, shown[:SHOWN_MEMBERS])
    if len(shown) > SHOWN_MEMBERS:
        found.append(f"  and {len(shown) - SHOWN_MEMBERS:,} more (--json has all)")
    off = [member for member in members if member.clock_off_s is not None]
    if off:
        worst = max(off, key=lambda member: abs(member.clock_off_s or 0))
        ahead = "ahead of" if (worst.clock_off_s or 0) > 0 else "behind"
        found.append(
            f"clocks differ: that of {worst.name} on {worst.host} is {_duration(abs(worst.clock_off_s or 0))}"
            f" {ahead} the folder's or this machine's; nothing depends on it but the times shown here"
        )
    return found


_ORDER = {AT_WORK: 1, ENDED: 2}


def _states(members: list[MemberStatus]) -> list[str]:
    return sorted({member.state for member in members}, key=lambda state: _ORDER.get(state, 0))


def _member(member: MemberStatus) -> str:
    failed = f", {member.shards_failed:,} failed" if member.shards_failed else ""
    return (
        f"  {member.name} ({member.engine}, {member.host}, process {member.process_id}): {member.state},"
        f" heard of {_duration(member.silent_s)} ago; {counted(member.shards_done, 'shard')} done{failed},"
        f" {member.rows_per_second:,.0f} rows/s"
    )


def _duration(seconds: float) -> str:
    """In the two largest units."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"

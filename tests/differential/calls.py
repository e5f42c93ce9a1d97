"""Every call of the table through 1.47.0 and through this checkout: ``make contract``.

It prints what differs. With ``--record`` it also keeps what 1.47.0 did in ``recorded_calls.json``, which the
tests hold this program against where 1.47.0 is not installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from img2dataset.formats.dataset import REPORT_NAMES
from tests.differential.call_table import CALLS, ON_PURPOSE
from tests.differential.environments import EnvironmentNotMade, make_programs, program_environment

RUNNER = Path(__file__).with_name("call_runner.py")
RECORD = Path(__file__).with_name("recorded_calls.json")
WORK = Path(__file__).with_name("work")

Outcome = dict[str, Any]


def run_calls(python: Path | str, calls: Mapping[str, Any]) -> dict[str, Outcome]:
    """What each call does under this Python.

    Raises:
        RuntimeError: the runner ended before the last call.
    """
    finished = subprocess.run(
        [str(python), str(RUNNER)],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        env=program_environment(),
    )
    # 1.47.0's worker processes print there too.
    lines = [line for line in finished.stdout.splitlines() if line.startswith('["')]
    outcomes: dict[str, Outcome] = dict(json.loads(line) for line in lines)
    if outcomes.keys() != calls.keys():
        raise RuntimeError(f"the runner ended early: {finished.stderr[-2000:]}")
    return outcomes


def differences(name: str, before: Outcome, here: Outcome) -> list[str]:
    """In what this program's outcome is not 1.47.0's; what is so on purpose, or lost rows there, left out."""
    if name in ON_PURPOSE or not before["accepted"] or not rows_kept(before):
        return []
    # What this program puts beside the dataset: what it keeps for itself, hidden, and its report.
    shown = {
        **here,
        "files": [path for path in here["files"] if not path.startswith(".") and path not in REPORT_NAMES],
        "columns": {path: names for path, names in here["columns"].items() if path not in REPORT_NAMES},
    }
    return [
        f"{key}: {before[key]} there, {shown[key]} here ({here['said']})"
        for key in ("accepted", "files", "columns", "counts")
        if before[key] != shown[key]
    ]


def rows_kept(outcome: Outcome) -> bool:
    """Whether each row is counted with its outcome: 1.47.0 may lose rows and go on."""
    return all(count == sum(outcomes) for count, *outcomes in outcome["counts"].values())


def write_record(outcomes: Mapping[str, Outcome]) -> None:
    """Keep what 1.47.0 did; equal outcomes once."""
    unique: list[Outcome] = []
    places = {}
    for name, outcome in outcomes.items():
        plain = {key: outcome[key] for key in ("accepted", "files", "columns", "counts")}
        if plain not in unique:
            unique.append(plain)
        places[name] = unique.index(plain)
    lines = ",\n".join(json.dumps(outcome) for outcome in unique)
    RECORD.write_text(f'{{"calls": {json.dumps(places)},\n"outcomes": [\n{lines}\n]}}\n')


def read_record() -> dict[str, Outcome]:
    """What 1.47.0 did, by the name of the call."""
    record = json.loads(RECORD.read_text())
    return {name: record["outcomes"][place] for name, place in record["calls"].items()}


def main() -> int:
    """Run both programs over the table; the exit status is 1 if they differ."""
    parser = argparse.ArgumentParser(prog="make contract", description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep what 1.47.0 did for the tests")
    arguments = parser.parse_args()
    try:
        programs = make_programs(WORK / "environments", tensorflow=False)
    except EnvironmentNotMade as error:
        print(f"contract: {error}", file=sys.stderr)
        return 2
    before = run_calls(programs.peer.with_name("python"), CALLS)
    if arguments.record:
        write_record(before)
    here = run_calls(programs.here.with_name("python"), CALLS)
    different = 0
    for name, outcome in here.items():
        for line in differences(name, before[name], outcome):
            different += 1
            print(f"{name}: {line}")
    print(f"{len(CALLS)} calls, {different} differences; on purpose: {', '.join(ON_PURPOSE) or 'none'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

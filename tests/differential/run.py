"""``python -m tests.differential.run [--only TEXT] [--jobs N] [--without_tensorflow]``: all cases, and a
table.

The exit status is 0 if nothing differs, 1 if something does, 2 if the programs cannot be had.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.differential.cases import CASES, OLD_WAY, Case
from tests.differential.comparing import describe, differences
from tests.differential.environments import EnvironmentNotMade, Programs, make_programs, program_environment
from tests.differential.lists import write_lists
from tests.differential.outputs import Output, read_output
from tests.servers import ImageServer

WORK = Path(__file__).resolve().parent / "work"
SHOWN_DIFFERENCES = 5
# A run takes seconds; one that takes this long hangs.
LONGEST_RUN_S = 300


@dataclass(frozen=True)
class Result:
    """What came of a case: what was compared, the differences in words, and why others are meant."""

    case: Case
    compared: str
    different: list[str]
    meant: frozenset[str] = frozenset()


class RunFailed(Exception):
    """A program ended with an error or not at all; the message has the last lines it said."""


def run_case(case: Case, programs: Programs, lists: dict[str, Path], folder: Path) -> Result:
    """Run one case through both programs and compare.

    Args:
        case: what to run.
        programs: both command lines.
        lists: the paths of the lists by name.
        folder: where both outputs go; emptied first, and removed if nothing differs.
    """
    shutil.rmtree(folder, ignore_errors=True)
    peer = programs.peer
    if case.output_format == "tfrecord":
        if programs.tensorflow_peer is None:
            raise ValueError("tfrecord cases need TensorFlow")
        peer = programs.tensorflow_peer
    try:
        theirs = _output_of(case, peer, {}, lists, folder / "peer", programs)
        ours = _output_of(case, programs.here, OLD_WAY, lists, folder / "here", programs)
    except (RunFailed, ValueError) as error:
        return Result(case, "nothing", [str(error)])
    found = list(differences(theirs, ours))
    different = [difference.text for difference in found if difference.meant is None]
    if not theirs.statistics:
        different.append("1.47.0 finished no shard: there is nothing to compare")
    if not different:
        shutil.rmtree(folder)
    meant = frozenset(difference.meant for difference in found if difference.meant is not None)
    return Result(case, describe(theirs), different, meant)


def _output_of(
    case: Case,
    program: Path,
    more: Mapping[str, object],
    lists: dict[str, Path],
    folder: Path,
    programs: Programs,
) -> Output:
    folder.parent.mkdir(parents=True, exist_ok=True)
    for options in case.runs():
        given = {"url_list": lists[case.url_list], "output_folder": folder, **options, **more}
        command = [str(program), *(f"--{name}={value}" for name, value in given.items())]
        try:
            finished = subprocess.run(
                command, capture_output=True, text=True, timeout=LONGEST_RUN_S, env=program_environment()
            )
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{' '.join(command)} did not end in {LONGEST_RUN_S} seconds") from None
        if finished.returncode:
            said = " / ".join(finished.stderr.strip().splitlines()[-2:])
            raise RunFailed(f"{' '.join(command)} ended with status {finished.returncode}: {said}")
    tensorflow = programs.tensorflow_peer
    return read_output(folder, tensorflow.with_name("python") if tensorflow else None)


def run_cases(cases: Iterable[Case], programs: Programs, jobs: int) -> list[Result]:
    """Run cases, ``jobs`` at once, printing a line each as they end, in their order."""
    results = []
    with ImageServer() as server, ThreadPoolExecutor(jobs) as pool:
        lists = write_lists(WORK / "lists", server)
        outputs = WORK / "outputs"
        running = [
            pool.submit(run_case, case, programs, lists, outputs / case.name.replace(" ", "-"))
            for case in cases
        ]
        for future in running:
            result = future.result()
            results.append(result)
            verdict = f"{len(result.different)} differences" if result.different else "same"
            stars = "*" if result.meant else ""
            print(f"{result.case.name:<46}  {result.compared:<72}  {verdict}{stars}", flush=True)
            for line in result.different[:SHOWN_DIFFERENCES]:
                print(f"    {line}", flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this text in their name")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cases at once (default: 2)")
    parser.add_argument("--without_tensorflow", action="store_true", help="leave out tfrecord")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case.name]
    if arguments.without_tensorflow:
        cases = [case for case in cases if case.output_format != "tfrecord"]
    if not cases:
        print(f"--only {arguments.only!r}: no case has this in its name", file=sys.stderr)
        return 2
    tensorflow = any(case.output_format == "tfrecord" for case in cases)
    try:
        programs = make_programs(WORK / "environments", tensorflow)
    except EnvironmentNotMade as error:
        print(f"differential: {error}", file=sys.stderr)
        return 2
    print(f"1.47.0 and this checkout, both with OpenCV {programs.opencv}; {len(cases)} cases\n", flush=True)
    results = run_cases(cases, programs, arguments.jobs)
    different = [result for result in results if result.different]
    print(f"\n{len(results) - len(different)} of {len(results)} cases are the same")
    for reason in sorted({reason for result in results for reason in result.meant}):
        cases_of = sum(reason in result.meant for result in results)
        print(f"* in {cases_of} cases, on purpose: {reason}")
    if different:
        print(f"what differs is kept in {WORK / 'outputs'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

"""``img2dataset report``: words come in, a report or a comparison is put, and its path goes out.

Called by the command line.
"""

from __future__ import annotations

import argparse
import json
import sys

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.errors import Img2datasetError, OptionError, OutputError, one_line
from img2dataset.formats.dataset import COMPARISON_DATA, COMPARISON_PAGE
from img2dataset.printable import printable
from img2dataset.reporting.report.gathering import Gathered, gather
from img2dataset.reporting.report.writing import Report, make_report, put_report
from img2dataset.shown_names import without_secrets
from img2dataset.stopping import end_on_signals
from img2dataset.storage.locations import Location, locate

_PAGE = """\
usage: img2dataset report OUTPUT [--to FOLDER] [--json]
       img2dataset report OUTPUT OTHER [--by url|key] [--to FOLDER] [--json]

What is in an output folder, of any version and any run, at work or ended: as
report.html, one page that needs nothing else, and report.json, the same
numbers. It reads statistics, the columns of the metadata and the logs, and of
the images a few dozen.

With two folders: what became of the rows of OUTPUT in OTHER, a later run over
the same list, as comparison.html and comparison.json in OTHER: links that died,
came back, and images whose bytes have changed.

  OUTPUT, OTHER  output folders, on any fsspec file system
  --by           what a row is known again by: its url (the default) or its key
  --to           the folder to put the files into, in place of OUTPUT or OTHER
  --json         print the numbers, and put no files

Exit status: 0, or 1 where a folder cannot be read or has nothing of a run, or
the files cannot be put, 2 for wrong usage."""


def run(words: list[str]) -> int:
    """Make the report that the words ask for; ``words``: those after ``report``.

    Returns:
        The exit status: 0, 1 where there is nothing to tell of or it cannot be put, 2 for wrong usage.
    """
    try:
        with end_on_signals("img2dataset: stopped"):
            asked = _parser().parse_intermixed_args(words)
            if asked.help:
                return say(_PAGE)
            if not 1 <= len(asked.folders) <= 2:
                raise OptionError(
                    "report takes one output folder, or two to compare; img2dataset report --help says how"
                    " it is used"
                )
            return _report(asked)
    except Img2datasetError as error:
        return refused(error)


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("report")
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--to")
    parser.add_argument("--by", choices=("url", "key"), default="url")
    parser.add_argument("--json", action="store_true")
    return parser


def _report(asked: argparse.Namespace) -> int:
    locations = [locate(folder, "OUTPUT", OutputError) for folder in asked.folders]
    if len(locations) == 2:
        from img2dataset.reporting.report.comparing import compare

        report = compare(locations[0], locations[1], asked.by, _tell)
        names: tuple[str, ...] = (COMPARISON_PAGE, COMPARISON_DATA)
    else:
        report, names = make_report(_gathered(locations[0]), _tell), ()
    if asked.json:
        return say(json.dumps(report.document, indent=1))
    target = locate(asked.to, "--to", OutputError) if asked.to else locations[-1]
    return _put(report, target, names)


def _put(report: Report, target: Location, names: tuple[str, ...]) -> int:
    try:
        path = put_report(report, target, *names)
    except Exception as error:  # every file system has its own errors
        raise OutputError(
            f"{target.name!r}: the report cannot be put there: {one_line(error)}; --to names another folder"
        ) from error
    return say(f"report: {path}")


def _gathered(location: Location) -> Gathered:
    try:
        gathered = gather(location, _tell)
    except FileNotFoundError as error:
        raise OutputError(f"{location.name!r} does not exist; name the output folder of a run") from error
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"{location.name!r} cannot be read: {one_line(error)}") from error
    if gathered.is_of_no_run:
        raise OutputError(f"{location.name!r} has nothing of a run in it; name the output folder of one")
    return gathered


def _tell(problem: str) -> None:
    print(without_secrets(printable(f"WARNING: {problem}")), file=sys.stderr)

"""``img2dataset verify OUTPUT``: words come in, a report goes out, and an exit status.

Called by the command line.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.stopping import StopRequest, end_on_signals, exit_status_of, stop_on_signals

STOPPED_LINE = "img2dataset: stopped; nothing more was checked"

_PAGE = """\
usage: img2dataset verify OUTPUT [--images] [--remove] [--processes_count N]

Check a finished or half-finished dataset: every shard there and whole, the same
counts in data, metadata and statistics, right and unique keys.

  OUTPUT               the output folder, on any fsspec file system
  --images             also decode every image and compare its size with the
                       metadata
  --remove             remove bad shards; the command that is then named
                       makes them again
  --processes_count N  shards checked at once (one a core)

Exit status: 0 nothing is wrong; 1 something is, and is listed; 2 wrong usage."""


def run(words: list[str]) -> int:
    """Verify what the words ask for, and print what was found.

    Args:
        words: those after ``verify``.

    Returns:
        The exit status: 0 if nothing is wrong, 1 if something is, 2 for wrong usage, 130 or 143 after a
        signal.
    """
    try:
        asked = _parser().parse_args(words)
        if asked.help:
            return say(_PAGE)
        if asked.output is None:
            raise OptionError("verify needs the output folder; img2dataset verify --help says how it is used")
        return _verify(asked)
    except Img2datasetError as error:
        return refused(error)


def _verify(asked: argparse.Namespace) -> int:
    with end_on_signals(STOPPED_LINE):
        from img2dataset.verifying.verification import verify
        from img2dataset.work_line import work_line
    stop = StopRequest()
    with stop_on_signals(stop), work_line("verifying", "shards") as line:

        def show(done: int, total: int) -> None:
            line.set_total(total)
            line.advance_to(done)

        try:
            report = verify(
                asked.output,
                images=asked.images,
                remove=asked.remove,
                processes_count=asked.processes_count,
                on_progress=show,
            )
        except BaseException:
            if stop.signal_number is None:
                raise
            # The terminal may be what was closed.
            with contextlib.suppress(OSError):
                line.close()
                print(STOPPED_LINE, file=sys.stderr, flush=True)
            return exit_status_of(stop.signal_number)
    say("\n".join(report.lines()))
    return report.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("verify")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--images", action="store_true")
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("--processes_count", type=int)
    return parser

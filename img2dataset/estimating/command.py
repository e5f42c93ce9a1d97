"""``img2dataset estimate LIST …options…``: what a run with these options would give and take.

Called by the command line: words come in, lines or JSON go out, and an exit status.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from img2dataset.errors import OptionError
from img2dataset.options import InputOptions, Options, read_words, refuse_unknown_names, resolve
from img2dataset.printable import printable
from img2dataset.stopping import (
    StopRequest,
    end_on_signals,
    exit_status_of,
    stop_on_signals,
)

if TYPE_CHECKING:
    from img2dataset.estimating.reckoning import Machine

SAMPLE_ROWS = 1000
MOST_SAMPLE_ROWS = 1_000_000
_STOPPED = "img2dataset: stopped; nothing is left of the sample"

PAGE = f"""\
usage: img2dataset estimate LIST [--sample_rows N] [--seed N] [--json]
                            [--OPTION VALUE ...]

What a run with these options, which are those of a run, would give and take: a
random sample of the list is downloaded for real, into a temporary folder that
is removed. Tells the share that succeeds, images a second, hours, bytes in and
out, the failures and hosts that will matter, and what limits.

  LIST           as the option url_list
  --sample_rows  how many rows are downloaded [{SAMPLE_ROWS}]
  --seed         other rows by another number [0]
  --json         the same for programs

Exit status: 0, or 1 where the list or the sample cannot be read, 2 for wrong
usage, 130 or 143 after a signal."""

GivenBy = Callable[[list[str]], Mapping[str, Any]]


def run(words: list[str], given_by: GivenBy) -> int:
    """Estimate what the words ask for.

    Args:
        words: those after ``estimate``.
        given_by: the options that words give, by name.

    Returns:
        The exit status.

    Raises:
        Img2datasetError: an option is wrong, or the list or the sample cannot be read.
    """
    rest, own = _own_words(words)
    rows = _whole_number("sample_rows", own.get("sample_rows", SAMPLE_ROWS), 1, MOST_SAMPLE_ROWS)
    seed = _whole_number("seed", own.get("seed", 0), 0, 2**63)
    refuse_unknown_names(read_words(rest), "estimate", ("sample_rows", "seed", "json"))
    options = resolve(given_by(rest))
    stop = StopRequest()
    text = None
    with stop_on_signals(stop):
        try:
            text = _estimate(options, rows, seed, stop, as_json="json" in own)
        except BaseException:
            if stop.signal_number is None:
                raise
    if text is not None:
        return _say(text)
    with contextlib.suppress(OSError):  # the terminal may be what was closed
        print(_STOPPED, file=sys.stderr, flush=True)
    return exit_status_of(stop.signal_number or signal.SIGTERM)


def _estimate(options: Options, rows: int, seed: int, stop: StopRequest, *, as_json: bool) -> str | None:
    from img2dataset.estimating.lines import lines_of_estimate
    from img2dataset.estimating.reckoning import reckon
    from img2dataset.estimating.sampled_list import HOW_READ, sample_list
    from img2dataset.estimating.trial import download_sample
    from img2dataset.storage.schemes import schemes_of

    with end_on_signals(_STOPPED):
        sampled = sample_list(options.part(InputOptions), rows, seed)
    trial = download_sample(options, sampled, stop)
    if trial is None:
        return None
    estimate = reckon(
        trial.facts,
        trial.seconds,
        trial.settled_rate,
        trial.stored_bytes,
        sampled.rows_of_list,
        _machine(options),
        trial.succeeded,
        sampled.part_of,
    )
    if as_json:
        findings = [finding.to_document() for finding in trial.findings]
        document = {**estimate.to_document(), "list_was_read": HOW_READ[sampled.how_read]}
        return json.dumps({**document, "seconds": trial.seconds, "findings": findings}, indent=2)
    remote = not {"file", "local"}.issuperset(schemes_of(options.output_folder))
    return "\n".join(lines_of_estimate(estimate, sampled.how_read, trial.findings, remote_output=remote))


def _machine(options: Options) -> Machine:
    from img2dataset.estimating.reckoning import Machine
    from img2dataset.settings import fetch_settings, processes_count

    processes = processes_count(options)
    return Machine(
        processes=processes,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        in_flight=processes * options.thread_count,
        manners=fetch_settings(options),
    )


def _own_words(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words of a run's options, and this command's own by name."""
    rest: list[str] = []
    own: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word == "--json":
            own["json"] = ""
        elif word.startswith("--") and name in ("sample_rows", "seed"):
            if not equals and not left:
                raise OptionError(f"--{name} needs a number; img2dataset estimate --help says how it is used")
            own[name] = value if equals else left.pop(0)
        else:
            rest.append(word)
    return rest, own


def _whole_number(name: str, text: str | int, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise OptionError(f"--{name} is {text!r}; it takes a whole number from {least} to {most:,}")
    return value


def _say(text: str) -> int:
    with contextlib.suppress(OSError):
        print(printable(text), flush=True)
    return 0

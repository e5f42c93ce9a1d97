"""The command line: words come in, a run or one clear line goes out, and an exit status.

The words are read by Python Fire's rules, as they were for the users of 1.47.0; the options check the values.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.log_output import TEXT_FORMAT, json_line, lines_are_json, notice, set_up_as_given
from img2dataset.printable import PrintableFormatter, printable
from img2dataset.stopping import (
    RUN_ME_AGAIN,
    STOPPED,
    STOPPING,
    StopRequest,
    end_on_signals,
    exit_status_of,
    stop_on_signals,
)

if TYPE_CHECKING:
    from img2dataset.options import Options

# Commands beside the run itself, and the file whose ``run`` takes their words.
COMMANDS = {
    "verify": "img2dataset.verifying.command",
    "status": "img2dataset.status.command",
    "watch": "img2dataset.status.watch_command",
    "inspect": "img2dataset.inspecting.command",
    "report": "img2dataset.reporting.report.command",
    "caption": "img2dataset.training.data.caption_command",
}
# Those that take the options of a run besides, and the file that has their ``PAGE``.
COMMANDS_WITH_OPTIONS = {
    "emit": "img2dataset.emitting.command",
    "estimate": "img2dataset.estimating.command",
    "consent": "img2dataset.consenting.command",
}


def main() -> None:
    """Run ``img2dataset`` with the words of the command line.

    Returns if all was done, so that a script which calls it goes on; else exits with the status.
    """
    with end_on_signals("img2dataset: stopped"):
        status = run_command(sys.argv[1:])
    if status:
        sys.exit(status)


def run_command(words: list[str]) -> int:
    """Do what the words ask for.

    Returns:
        The exit status: 0 if every shard is done, 1 if not, 2 for wrong options, 130 or 143 when stopped by
        a signal, and 75 of a rank that SIGTERM has stopped.
    """
    if not words or words[0] == "help":
        return _say_help("--help")
    if words[0] == "--version":
        from img2dataset.version import __version__

        return _say(__version__)
    if words[0] in COMMANDS:
        return int(import_module(COMMANDS[words[0]]).run(words[1:]))
    asks_for_page = len(words) == 1 or not {"--help", "-h"}.isdisjoint(words)
    if words[0] in COMMANDS_WITH_OPTIONS and asks_for_page:
        page: str = import_module(COMMANDS_WITH_OPTIONS[words[0]]).PAGE
        return _say(page)
    if meant := _command_meant(words):
        print(f"img2dataset: {words[0]!r} is no command and no list; {meant}", file=sys.stderr)
        return OptionError.exit_status
    if words[:2] == ["--", "--completion"]:
        return _say_completion(words[2:])
    if words[0] != "cache" and (word := _asked_for_help(words)):
        return _say_help(word)
    # Arrow's own pools keep what they have freed: 40 MB more on a list of five million rows, and no faster.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter(TEXT_FORMAT))
    logging.basicConfig(handlers=[handler])
    try:
        if words[0] == "cache":
            from img2dataset.training import cache_command

            return _say(cache_command(words[1:]))
        if words[0] == "emit":
            from img2dataset.emitting.command import emit

            return _say(emit(words[1:], _given).rstrip("\n"))
        if words[0] == "estimate":
            from img2dataset.estimating.command import run as run_estimate

            return run_estimate(words[1:], _given)
        if words[0] == "consent":
            from img2dataset.consenting.command import run as run_consent

            return run_consent(words[1:], _given)
        with end_on_signals(f"img2dataset: {STOPPED}"):
            return _run_download(words)
    except Img2datasetError as error:
        _say_mistake(f"img2dataset: {error}")
        return error.exit_status


def _run_download(words: list[str]) -> int:
    from img2dataset.options import PRINT_CONFIG, resolve, shown_config

    given = _given(words)
    print_config = str(given.pop(PRINT_CONFIG, "False")).lower() not in ("false", "no", "0")
    set_up_as_given(given)
    options = resolve(given)
    if print_config:
        return _say(shown_config(options))
    from img2dataset.api import run

    stop = StopRequest(options.distributor == "ranks")
    if options.log_format == "json":
        stop.stopping_line = f"{json_line('stopping', message=STOPPING)}\n".encode()
    with stop_on_signals(stop):
        try:
            summary = run(options, stop)
        except BaseException:
            if stop.signal_number is None or stop.engine_has_begun:
                raise
            return _say_stopped(_status_when_stopped(options, stop.signal_number))
        _say("\n".join(summary.lines()))
        if stop.signal_number is not None:
            return _say_stopped(_status_when_stopped(options, stop.signal_number))
        return summary.exit_status


def _given(words: list[str]) -> dict[str, Any]:
    """The options that words give, those of a file that they name included, and whether to print them."""
    from img2dataset.options import CONFIG, PRINT_CONFIG, from_texts, read_config, read_words

    read = read_words(words)
    texts = dict(read.texts)
    config = texts.pop(CONFIG, None)
    printed = {PRINT_CONFIG: texts.pop(PRINT_CONFIG)} if PRINT_CONFIG in texts else {}
    return {
        **(read_config(config, _text_at) if config else {}),
        **from_texts(texts, read.alone),
        **printed,
    }


def _status_when_stopped(options: Options, signal_number: int) -> int:
    """The exit status of a run that a signal has stopped; a scheduler tells a rank's from a failure by it."""
    if options.distributor == "ranks" and signal_number == signal.SIGTERM:
        return RUN_ME_AGAIN
    return exit_status_of(signal_number)


def _text_at(path: str) -> str:
    from img2dataset.storage.locations import open_path

    file_system, path_on_it = open_path(path)
    with file_system.open(path_on_it, "r", encoding="utf-8") as file:
        text: str = file.read()
        return text


def _say_stopped(exit_status: int) -> int:
    notice("stopped", STOPPED, exit_status=exit_status)
    return exit_status


def _command_meant(words: list[str]) -> str | None:
    """What the first word may have meant, where it is no list and close to a command."""
    commands = (*COMMANDS, *COMMANDS_WITH_OPTIONS, "cache")
    is_bare = words[0].isalpha() and not os.path.exists(words[0]) and words[0] not in commands
    close = difflib.get_close_matches(words[0], commands, n=1, cutoff=0.75) if is_bare else []
    return f"did you mean img2dataset {close[0]}?" if close else None


def _asked_for_help(words: list[str]) -> str | None:
    from img2dataset.options import asks_for_help

    return asks_for_help(words)


def _say_help(word: str) -> int:
    from img2dataset.options import help_page

    return _say(help_page(everything=word.endswith("all")))


def _say_completion(shells: list[str]) -> int:
    """The script of ``img2dataset -- --completion bash`` or ``fish``; Fire writes it, as for 1.47.0."""
    if len(shells) > 1 or not {"bash", "fish"}.issuperset(shells):
        _say_mistake(f"img2dataset: --completion is {' '.join(shells)!r}; it takes bash or fish")
        return 2
    # Nothing else is Fire's: it takes 0.1 s to load.
    import fire

    from img2dataset.api import download

    fire.Fire(download, command=["--", "--completion", *shells], name="img2dataset")
    return 0


def _say_mistake(text: str) -> None:
    """One line; on a terminal in as many as it takes there, broken between words."""
    if lines_are_json():
        notice("error", text.removeprefix("img2dataset: "))
        return
    if sys.stderr.isatty():
        import shutil
        import textwrap

        width = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    print(text, file=sys.stderr)


def _say(text: Any) -> int:
    with contextlib.suppress(OSError):
        print(printable(str(text)), flush=True)
    return 0

"""The command line: words come in, a run or one clear line goes out, and an exit status.

Python Fire reads the words, as it did for the users of 1.47.0; the options check the values.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any

from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.printable import PrintableFormatter, printable


def main() -> None:
    """Run ``img2dataset`` with the words of the command line, and exit."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: list[str]) -> int:
    """Do what the words ask for.

    Returns:
        The exit status: 0 if every shard is done, 1 if not, 2 for wrong options, 130 or 143 when stopped by
        a signal.
    """
    if words and words[0] == "verify":
        from img2dataset.verifying.command import run as run_verify

        return run_verify(words[1:])
    if "--help_all" in words:
        return _say(_help_text(everything=True))
    if not words or words[0] == "help" or not {"--help", "-h"}.isdisjoint(words):
        return _say(_help_text())
    if words[0] == "--version":
        from img2dataset.version import __version__

        return _say(__version__)
    # Arrow's own pools keep what they have freed: 40 MB more on a list of five million rows, and no faster.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    try:
        if words[0] == "cache":
            from img2dataset.training import cache_command

            return _say(cache_command(words[1:]))
        return _run_download(words)
    except Img2datasetError as error:
        print(f"img2dataset: {error}", file=sys.stderr)
        return error.exit_status


def _load_arrow_alone() -> None:
    """Load Arrow without NumPy, which it would load too; only known URLs are counted with it in this process.

    0.07 s of CPU and 10 MB. Whoever wants NumPy afterwards can have it; Arrow alone does without.
    """
    from importlib import metadata

    # Older versions do not load without it.
    if "numpy" in sys.modules or int(metadata.version("pyarrow").partition(".")[0]) < 18:
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        import pyarrow.compute  # noqa: F401
    finally:
        del sys.modules["numpy"]


def _run_download(words: list[str]) -> int:
    from img2dataset.options import from_texts, read_config, resolve, shown_config

    texts = read_words(words)
    config = texts.pop("config", None)
    print_config = texts.pop("print_config", "False") != "False"
    given = {**(read_config(config) if config else {}), **from_texts(texts)}
    options = resolve(given)
    if print_config:
        return _say(shown_config(options))
    if options.incremental_mode != "new_only":
        _load_arrow_alone()
    from img2dataset.distributing import StoppedEarly, StopRequest, exit_status_of, stop_on_signals

    stop = StopRequest()
    with stop_on_signals(stop):
        try:
            from img2dataset.api import run

            summary = run(options, stop)
        except StoppedEarly as stopped:
            return _say_stopped(exit_status_of(stopped.signal_number))
        _say("\n".join(summary.lines()))
        if stop.signal_number is not None:
            return _say_stopped(exit_status_of(stop.signal_number))
        return summary.exit_status


def _say_stopped(exit_status: int) -> int:
    # The terminal may be what was closed.
    with contextlib.suppress(OSError):
        print("img2dataset: stopped; the same command goes on where it stopped", file=sys.stderr, flush=True)
    return exit_status


def read_words(words: list[str]) -> dict[str, str]:
    """The option texts of a command line, by name, read by Fire's rules: by position or by name.

    Raises:
        OptionError: an option that takes a value has none, there are more positions than options, or a name
            that is no option.
    """
    import fire

    from img2dataset.options import by_name

    _check_values_are_given(words)
    texts: dict[str, str] = {}

    @fire.decorators.SetParseFn(str)  # type: ignore[untyped-decorator]
    def take(*positions: str, **named: str) -> None:
        texts.update(by_name(positions, {_full_name(name): text for name, text in named.items()}))

    fire.Fire(take, command=words, name="img2dataset")
    return texts


def _check_values_are_given(words: list[str]) -> None:
    """Refuse an option whose value was forgotten, which Fire would take for a flag that says True."""
    from img2dataset.options import option_specs

    for word, following in zip(words, [*words[1:], "--"], strict=True):
        # A lone "-" is Fire's separator and "--" begins its own flags: neither is an option here.
        if word in ("-", "--"):
            raise OptionError(f"{word!r} stands alone; options are given as --name value")
        if not _is_name(word) or "=" in word or not _is_name(following):
            continue
        name = _full_name(word.lstrip("-").replace("-", "_"))
        spec = option_specs().get(name)
        if (spec is not None and spec.kind != "boolean") or name == "config":
            raise OptionError(f"--{name} has no value; give it as --{name} VALUE")


def _is_name(word: str) -> bool:
    """Whether Fire takes a word for the name of an option; -1 is a value."""
    return word.startswith("--") or (word.startswith("-") and word[1:2].isalpha())


def _full_name(name: str) -> str:
    """The option that a single letter stands for, where only one of 1.47.0's begins with it.

    Raises:
        OptionError: several do.
    """
    from img2dataset.options import POSITIONAL

    if len(name) != 1:
        return name
    names = [option for option in POSITIONAL if option.startswith(name)]
    if len(names) > 1:
        raise OptionError(f"-{name} can be {', '.join(names)}; give the whole name")
    return names[0] if names else name


def _help_text(everything: bool = False) -> str:
    from img2dataset.options import help_page

    return help_page(everything)


def _say(text: Any) -> int:
    with contextlib.suppress(OSError):
        print(printable(str(text)), flush=True)
    return 0

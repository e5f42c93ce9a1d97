"""The words of a command line, by Python Fire's rules, as the users of 1.47.0 know them.

Words go in, texts by name come out; called by the command line. ``--name value``, ``--name=value``,
``-name``, ``--na-me``, a bare ``--flag`` and ``--noflag`` for options that are True or False, ``-n value``
where the letter begins one option of 1.47.0 only. Words that stand alone fill the options in 1.47.0's order,
but for those that are named.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from img2dataset.errors import OptionError
from img2dataset.options.positions import POSITIONS
from img2dataset.options.specs import option_specs

# What the command line alone takes, beside the options: a file, and a flag.
CONFIG, PRINT_CONFIG = "config", "print_config"
HELP_WORDS = ("--help", "-h", "-help", "--help_all", "--help-all")
_FLAG = re.compile(r"--[^=]|-[a-zA-Z]")


@dataclass(frozen=True)
class Words:
    """The texts of a command line by option; ``alone`` are the names of those that stood without theirs."""

    texts: dict[str, str] = field(default_factory=dict)
    alone: tuple[str, ...] = ()


def asks_for_help(words: Sequence[str]) -> str | None:
    """The word that asks for help, wherever it stands; after ``--`` too, as Fire has it."""
    return next((word for word in words if word in HELP_WORDS), None)


def read_words(words: Sequence[str]) -> Words:
    """The texts of a command line, by option.

    Raises:
        OptionError: an option without its value, a letter that several options begin with, or more words that
            stand alone than there are options.
    """
    texts: dict[str, str] = {}
    alone: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-", "--"):
            # Fire's separator, and the beginning of its own flags: neither is an option here.
            if rest or word == "-":
                raise OptionError(f"{word!r} stands alone; options are given as --name value")
        elif _FLAG.match(word) is None:
            alone.append(word)
        else:
            _take_option(word, rest, texts)
    positions = [name for name in POSITIONS if name not in texts]
    if len(alone) > len(positions):
        raise OptionError(
            f"{alone[len(positions)]!r} stands alone and there is no option left for it; options are given as"
            " --name value"
        )
    by_position = dict(zip(positions, alone, strict=False))
    return Words({**texts, **by_position}, tuple(by_position))


def refuse_unknown_names(words: Words, command: str, own: Collection[str]) -> None:
    """Refuse a name that is neither an option nor a command's own; what was meant may be either.

    Args:
        words: those of the command.
        command: its name.
        own: the names that it takes beside the options.

    Raises:
        OptionError: there is one.
    """
    known = (*own, *option_specs(), CONFIG, PRINT_CONFIG)
    for name in words.texts:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean --{near[0]}?)" if near else ""
            raise OptionError(
                f"--{name} is no option of {command}{hint}; img2dataset {command} --help says how it is used"
            )


def _take_option(word: str, rest: list[str], texts: dict[str, str]) -> None:
    written, equals, text = word.lstrip("-").partition("=")
    name = _full_name(written.replace("-", "_"))
    specs = option_specs()
    denied = name.removeprefix("no").lstrip("_")
    if name not in specs and name.startswith("no") and _is_flag(denied):
        if equals or (rest and rest[0].lower() in ("true", "false")):
            raise OptionError(f"--{name} means --{denied} False; it takes no value")
        texts[denied] = "False"
    elif equals:
        if not text.strip() and text != "\t" and name in specs:
            raise _without_value(name)
        texts[name] = text
    elif rest and _FLAG.match(rest[0]) is None and rest[0] not in ("-", "--"):
        texts[name] = rest.pop(0)
        if not texts[name].strip() and texts[name] != "\t" and name in specs:
            raise _without_value(name)
    elif _is_flag(name) or name not in (*specs, CONFIG):
        texts[name] = "True"
    else:
        raise _without_value(name)


def _is_flag(name: str) -> bool:
    return name == PRINT_CONFIG or (name in option_specs() and option_specs()[name].kind == "boolean")


def _without_value(name: str) -> OptionError:
    spec = option_specs().get(name)
    takes = f"it takes {spec.allowed()}" if spec is not None else "it takes a file of options"
    return OptionError(f"--{name} stands without a value; {takes}")


def _full_name(written: str) -> str:
    """The option that a single letter stands for, if 1.47.0 had one only; other names as they are."""
    if len(written) != 1:
        return written
    found = [name for name in POSITIONS if name[0] == written]
    if len(found) == 1:
        return found[0]
    if found:
        raise OptionError(
            f"-{written} may be {', '.join('--' + name for name in found)}; give the whole name"
        )
    raise OptionError(f"-{written} is not an option; img2dataset --help lists them")

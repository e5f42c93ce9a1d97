"""``img2dataset consent OUTPUT``: words come in, counts, a list or a summary go out, and an exit status.

Called by the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from img2dataset.command_words import say
from img2dataset.errors import OptionError
from img2dataset.printable import printable
from img2dataset.stopping import end_on_signals

if TYPE_CHECKING:
    from img2dataset.consenting.folder import Problems

PAGE = """\
usage: img2dataset consent OUTPUT [--json]
       img2dataset consent OUTPUT --recheck [--remove] [--json]
                           [--OPTION VALUE ...]
       img2dataset consent OUTPUT --eu_summary FILE [--sme] [--json]
                           [--OPTION VALUE ...]

What was said of taking the images of a dataset for training: rows that were
left out, signals that were seen (--save_consent), hosts, prices that were
asked. Of this program or of 1.47.0, in any format.

  OUTPUT        the output folder, on any fsspec file system
  --recheck     ask again for the rows with an image: robots.txt, tdmrep.json
                and the headers of answers; of what is in the pictures, what
                --save_consent kept counts. List the rows that are reserved
                now: key, URL, signal, value
  --remove      and take these out of their shards; their metadata stay, as
                those of rows that failed
  --eu_summary  write what the AI Act's public summary of training content asks
                of crawled data to this file, as Markdown
  --sme         in it, list the domains that small and medium-sized providers
                list: 5 %, at most 1,000, in place of 10 %
  --json        the same for programs
  --OPTION      those of downloads, names, manners and access, as of a run. Not
                given, they are as in the folder's last run, but --consent is
                strict

Exit status: 0, or 1 where OUTPUT, or a part of it, cannot be read, or rows
cannot be taken out, 2 for wrong usage, 130 or 143 after a signal."""

_SEE_HELP = "img2dataset consent --help says how it is used"
_FLAGS = ("recheck", "remove", "sme", "json")
_EU_SUMMARY = "eu_summary"
GivenBy = Callable[[list[str]], Mapping[str, Any]]


@dataclass
class Asked:
    """What the words ask for. ``options``: those of a run among them, by name."""

    output: str
    flags: set[str] = field(default_factory=set)
    eu_summary: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def as_json(self) -> bool:
        return "json" in self.flags


def run(words: list[str], given_by: GivenBy) -> int:
    """Do what the words ask for; ``words``: those after ``consent``.

    Args:
        words: this command's and those of a run's options.
        given_by: the options that words give, by name.

    Returns:
        The exit status.

    Raises:
        Img2datasetError: the words are wrong, or the folder cannot be read or written to.
    """
    asked = read_asked(words, given_by)
    if "recheck" in asked.flags:
        from img2dataset.consenting.recheck_command import run_recheck

        return run_recheck(asked, tell)
    from img2dataset.consenting.folder import Problems

    problems = Problems(tell)
    with end_on_signals("img2dataset: stopped"):
        said = _counts(asked, problems) if asked.eu_summary is None else _summary(asked, problems)
        return say(said) or int(bool(problems.told))


def read_asked(words: list[str], given_by: GivenBy) -> Asked:
    """What the words ask for.

    Raises:
        OptionError: they are wrong.
    """
    rest: list[str] = []
    flags: set[str] = set()
    eu_summary: str | None = None
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in _FLAGS:
            if equals:
                raise OptionError(f"--{name} takes no value, and was given {value!r}; {_SEE_HELP}")
            flags.add(name)
        elif word.startswith("--") and name == _EU_SUMMARY:
            value = value if equals else (left.pop(0) if left else "")
            if not value or value.startswith("--"):
                raise OptionError(f"--{name} needs the file to write; {_SEE_HELP}")
            eu_summary = value
        else:
            rest.append(word)
    _check_words(rest)
    options = dict(given_by(rest))
    output = options.pop("url_list", None)
    if not output:
        raise OptionError(f"consent needs the output folder; {_SEE_HELP}")
    asked = Asked(str(output), flags, eu_summary, options)
    _check(asked)
    return asked


def _check_words(words: list[str]) -> None:
    from img2dataset.options import read_words, refuse_unknown_names

    read = read_words(words)
    if len(read.alone) > 1:
        second = read.texts[read.alone[1]]
        raise OptionError(f"consent takes one output folder, and was given {second!r} too; {_SEE_HELP}")
    refuse_unknown_names(read, "consent", (*_FLAGS, _EU_SUMMARY))


def _check(asked: Asked) -> None:
    flags = asked.flags
    if "remove" in flags and "recheck" not in flags:
        raise OptionError(f"--remove takes out what --recheck finds: give both; {_SEE_HELP}")
    if asked.eu_summary is not None and "recheck" in flags:
        raise OptionError("--eu_summary and --recheck were both given; consent takes one of them")
    if "sme" in flags and asked.eu_summary is None:
        raise OptionError(f"--sme is for --eu_summary; {_SEE_HELP}")
    from img2dataset.consenting.asking_options import check_names

    check_names(asked.options)
    if asked.options and asked.eu_summary is None and "recheck" not in flags:
        name = next(iter(asked.options))
        raise OptionError(f"--{name} is for --recheck and --eu_summary; {_SEE_HELP}")


def tell(problem: str) -> None:
    """Print what cannot be read or done, beside what goes on."""
    print(printable(f"WARNING: {problem}"), file=sys.stderr)


def _counts(asked: Asked, problems: Problems) -> str:
    from img2dataset.consenting.counting import count
    from img2dataset.consenting.folder import open_output
    from img2dataset.consenting.lines import lines_of_counts
    from img2dataset.formats.json_text import json_text
    from img2dataset.work_line import work_line

    folder = open_output(asked.output)
    with work_line("counting", "shards", len(folder.shards)) as line:
        counts = count(folder, problems, line.advance)
    return json_text(counts.to_document()) if asked.as_json else "\n".join(lines_of_counts(counts))


def _summary(asked: Asked, problems: Problems) -> str:
    from img2dataset.consenting.eu_summary import make_summary

    return make_summary(asked, problems)

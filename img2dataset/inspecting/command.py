"""``img2dataset inspect OUTPUT``: words come in, lines or JSON and perhaps a contact sheet go out.

Called by the command line.
"""

from __future__ import annotations

import argparse
from typing import Any

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.stopping import end_on_signals

_PAGE = """\
usage: img2dataset inspect OUTPUT [--rows N] [--seed N] [--json]
       img2dataset inspect OUTPUT --key KEY [--json]
       img2dataset inspect OUTPUT --sheet FILE [--images N] [--columns N]

What is in a dataset: its counts, failures, columns and a few rows; one sample
with everything known of it; or many images on one sheet. Of this program or of
1.47.0, in any format, finished or not. It reads only.

  OUTPUT     the output folder, on any fsspec file system
  --key      the key of a sample
  --sheet    write a picture of sampled images to this .jpg, .png or .webp
  --images   how many images are on it [64]
  --columns  how many in a row [8]
  --rows     how many rows to show [5]
  --seed     other rows and images by another number [0]
  --json     the same for programs

Exit status: 0, or 1 where OUTPUT or KEY is not there or cannot be read, 2 for
wrong usage."""
MOST_IMAGES, MOST_ROWS, MOST_COLUMNS = 1000, 1000, 40


def run(words: list[str]) -> int:
    """Show what the words ask for; ``words``: those after ``inspect``.

    Returns:
        The exit status: 0, 1 where there is nothing to show, 2 for wrong usage.
    """
    try:
        with end_on_signals("img2dataset: stopped"):
            asked = _parser().parse_args(words)
            if asked.help:
                return say(_PAGE)
            _check(asked)
            return say(_sample(asked) if asked.key is not None else _dataset(asked))
    except Img2datasetError as error:
        return refused(error)


def _check(asked: argparse.Namespace) -> None:
    if asked.output is None:
        raise OptionError("inspect needs the output folder; img2dataset inspect --help says how it is used")
    if asked.key is not None and asked.sheet is not None:
        raise OptionError("--key and --sheet were both given; inspect takes one of them")
    for name, least, most in (
        ("rows", 0, MOST_ROWS),
        ("images", 1, MOST_IMAGES),
        ("columns", 1, MOST_COLUMNS),
    ):
        value = getattr(asked, name)
        if not least <= value <= most:
            raise OptionError(f"--{name} is {value}; it takes a whole number from {least} to {most:,}")
    if asked.sheet is not None:
        from img2dataset.inspecting.sheet import check_sheet_name

        check_sheet_name(asked.sheet)


def _sample(asked: argparse.Namespace) -> str:
    from img2dataset.inspecting.dataset import open_dataset
    from img2dataset.inspecting.lines import lines_of_sample
    from img2dataset.inspecting.one_sample import find_sample

    sample = find_sample(open_dataset(asked.output), asked.key)
    return _as_json(sample.to_document()) if asked.json else "\n".join(lines_of_sample(sample))


def _dataset(asked: argparse.Namespace) -> str:
    from img2dataset.inspecting.dataset import open_dataset
    from img2dataset.inspecting.facts import gather
    from img2dataset.inspecting.lines import lines_of_facts

    dataset = open_dataset(asked.output)
    facts = gather(dataset, asked.seed, asked.rows)
    document, lines = facts.to_document(), lines_of_facts(facts)
    if asked.sheet is not None:
        from img2dataset.inspecting.sampled_images import sample_images
        from img2dataset.inspecting.sheet import make_sheet, write_sheet

        problems: list[str] = []
        samples = sample_images(dataset, asked.images, asked.seed, facts.successes_of, problems.append)
        sheet = make_sheet(samples, asked.columns)
        if sheet.picture is None:
            lines.append("sheet: not written, there is no image to show")
        else:
            write_sheet(sheet.picture, asked.sheet)
            lines.append(f"sheet: {counted(len(sheet.keys), 'image')} in {asked.sheet}")
        if sheet.broken:
            shown = ", ".join(sheet.broken[:3]) + (", …" if len(sheet.broken) > 3 else "")
            lines.append(f"WARNING: {counted(len(sheet.broken), 'image')} cannot be decoded: {shown}")
        lines += [f"WARNING: {problem}" for problem in problems]
        document["sheet"] = {
            "file": asked.sheet if sheet.picture is not None else None,
            "keys": sheet.keys,
            "broken": sheet.broken,
            "problems": problems,
        }
    return _as_json(document) if asked.json else "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("inspect")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--key")
    parser.add_argument("--sheet")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser


def _as_json(document: dict[str, Any]) -> str:
    from img2dataset.formats.json_text import json_text

    return json_text(_plain(document))


def _plain(value: Any) -> Any:
    """A value of JSON's types; what has none there, such as a date, as text."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

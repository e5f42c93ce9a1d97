"""``img2dataset caption FOLDER --captioner module:function``: words come in, captions go to the folder's
``metadata.jsonl``, a few lines and an exit status go out.

Called by the command line.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib import import_module
from typing import Any

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.stopping import end_on_signals
from img2dataset.training.data.captioning import METADATA, Captioned, caption_folder

PROGRESS_EVERY_S = 10.0
SHOWN_FAILURES = 10

_PAGE = """\
usage: img2dataset caption FOLDER --captioner MODULE:FUNCTION
                           [--batch_size N] [--column NAME]

Fills in the captions that are missing in a folder of images, with a model of
yours. Captions that are there, in .txt files or in a metadata file, stay. All
of them are put into FOLDER/metadata.jsonl, whole, once every image is done;
what is made meanwhile is noted in FOLDER/.captioning, and the same command
goes on there when it was stopped.

  FOLDER        a folder of images on this machine
  --captioner   a function, called with a list of PIL pictures (RGB), that
                returns a list of as many texts; or a class, of which one object
                is made, and called. Looked for in this folder, too
  --batch_size  pictures at once (8)
  --column      of the captions (the one that the metadata has, or caption)

Exit status: 0, 1 where an image could not be captioned, or the captioner
failed, 2 for wrong usage."""


def run(words: list[str]) -> int:
    """Caption the folder that the words name; ``words``: those after ``caption``.

    Returns:
        The exit status: 0, 1 if an image has no caption still, 2 for wrong usage.
    """
    try:
        with end_on_signals("img2dataset: stopped; the same command goes on where it stopped"):
            asked = _parser().parse_args(words)
            if asked.help:
                return say(_PAGE)
            if asked.folder is None or asked.captioner is None:
                raise OptionError(
                    "caption needs a folder of images and --captioner module:function;"
                    " img2dataset caption --help says how it is used"
                )
            captioned = caption_folder(
                asked.folder,
                _captioner(asked.captioner),
                name=asked.captioner,
                column=asked.column,
                batch_size=asked.batch_size,
                progress=_Progress(),
            )
    except Img2datasetError as error:
        return refused(error)
    say("\n".join(_lines(captioned, asked.folder)))
    return 1 if captioned.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("caption")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--captioner")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--column")
    return parser


def _captioner(given: str) -> Any:
    """What ``module:function`` names, ready to be called.

    Raises:
        OptionError: it names nothing that can be called.
    """
    module_name, _, name = given.partition(":")
    if not module_name or not name:
        raise OptionError(f"--captioner is {given!r}; it takes module:function, such as my_model:describe")
    # As Python itself looks for the modules of a script that lies here.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        made = found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        raise OptionError(
            f"--captioner is {given!r}, which cannot be loaded: {type(error).__name__}:"
            f" {' '.join(str(error).split())}"
        ) from error
    if not callable(made):
        raise OptionError(f"--captioner is {given!r}, a {type(made).__name__}, which cannot be called")
    return made


class _Progress:
    """Says on standard error how far it is, every ten seconds."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def __call__(self, so_far: Captioned) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_EVERY_S:
            return
        self._said = now
        left = so_far.images - so_far.had - so_far.resumed - so_far.made - len(so_far.failed)
        rate = so_far.made / (now - self._began)
        print(f"{so_far.made:,} captioned, {left:,} left, {rate:.1f} a second", file=sys.stderr, flush=True)


def _lines(captioned: Captioned, folder: str) -> list[str]:
    made = captioned.made + captioned.resumed
    lines = [
        f"{counted(captioned.images, 'image')}: {captioned.had:,} had a caption, {made:,} captioned"
        + (f" ({captioned.resumed:,} of them before a stop)" if captioned.resumed else "")
        + (f", {len(captioned.failed):,} without" if captioned.failed else "")
    ]
    if made:
        lines.append(f"captions: {os.path.join(folder, METADATA)}")
    lines += [f"  {image}: {reason}" for image, reason in list(captioned.failed.items())[:SHOWN_FAILURES]]
    if len(captioned.failed) > SHOWN_FAILURES:
        lines.append(f"  and {len(captioned.failed) - SHOWN_FAILURES:,} more")
    return lines

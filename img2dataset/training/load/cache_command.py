"""``img2dataset cache stats FOLDER`` and ``cache clear FOLDER``: words come in, a text goes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, OptionError
from img2dataset.training.load.cache import ImageCache

USAGE = "img2dataset cache stats FOLDER | img2dataset cache clear FOLDER"
PAGE = """\
usage: img2dataset cache stats FOLDER
       img2dataset cache clear FOLDER

The images that the loaders of training keep on a disk (cache=FOLDER).

  stats   what the cache holds: its entries, failures that are remembered, its
          size, and when it was used
  clear   empty it

Exit status: 0, 1 where FOLDER cannot be read or emptied, 2 where it is no
cache."""


def cache_command(words: Sequence[str]) -> str:
    """Do what the words after ``cache`` ask for.

    Returns:
        What to print.

    Raises:
        OptionError: other words, or a folder that is no cache.
        Img2datasetError: the folder cannot be read, or what is in it cannot be removed.
    """
    if not words or not {"--help", "-h"}.isdisjoint(words):
        return PAGE
    if len(words) != 2 or words[0] not in ("stats", "clear"):
        raise OptionError(f"cache takes: {USAGE}")
    folder = Path(words[1]).expanduser()
    # Not made here: a mistyped name should not leave an empty cache behind.
    if not (folder / "objects").is_dir():
        raise OptionError(f"{words[1]!r} is not a cache folder (it has no folder objects); {USAGE}")
    cache = ImageCache(folder)
    try:
        if words[0] == "clear":
            return f"{counted(cache.clear(), 'entry', 'entries')} removed from {folder}"
        stats = cache.stats()
    except OSError as error:
        done = "cleared" if words[0] == "clear" else "read"
        raise Img2datasetError(f"the cache folder {words[1]!r} cannot be {done}: {error}") from error
    lines = [
        f"folder    {stats.folder}",
        f"entries   {stats.entries:,} ({counted(stats.failures, 'remembered failure')})",
        f"size      {counted(stats.bytes, 'byte')}",
    ]
    if stats.oldest_use is not None and stats.newest_use is not None:
        lines.append(f"last used {_moment(stats.oldest_use)} to {_moment(stats.newest_use)}")
    return "\n".join(lines)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))

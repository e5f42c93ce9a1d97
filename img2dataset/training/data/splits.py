"""Which part of a source that is divided into splits: their names in, one out. Called by what opens lists."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from img2dataset.errors import InputError

logger = logging.getLogger("img2dataset")

# What folders and files of splits are called.
SPLIT_NAMES = frozenset(
    ["train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"]
)


def chosen_split(present: Iterable[str], split: str | None, where: str) -> str:
    """The split that is to be read.

    Args:
        present: those that there are.
        split: the one that is asked for; None: the only one, else "train", which is said.
        where: the source, as messages show it.

    Raises:
        InputError: there is none of this name; or several, none is asked for, and none is "train".
    """
    names = list(present)
    listed = ", ".join(names)
    if split is not None:
        if split not in names:
            raise InputError(f"{where} has no split {split!r}; it has {listed}")
        return split
    if len(names) == 1:
        return names[0]
    if "train" not in names:
        raise InputError(f"{where} has the splits {listed}; say which with split=")
    logger.warning("%s has the splits %s: train is read; split= reads another", where, listed)
    return "train"


def refuse_split(split: str | None, where: str) -> None:
    """Refuse a split of what has none.

    Raises:
        InputError: one is asked for.
    """
    if split is not None:
        raise InputError(f"split is {split!r}, but {where} is not divided into splits")

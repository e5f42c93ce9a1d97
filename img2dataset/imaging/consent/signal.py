"""What every signal of this folder hands out: ``SignalInBytes``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from img2dataset.printable import printable
from img2dataset.types import SAYS, Says

LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class SignalInBytes:
    """One statement about training that stands in an image file. Not verified.

    Attributes:
        signal: which one, ``iptc-data-mining`` or ``c2pa``.
        where: the kind of block in which it stands, ``xmp`` or ``c2pa manifest``.
        value: what it says, in its own words: one printable line of at most ``LONGEST_VALUE`` characters.
        says: what that means for the training of models.
    """

    signal: str
    where: str
    value: str
    says: Says


def shown_value(text: str) -> str:
    """A text of a file as one line that can be printed, cut to ``LONGEST_VALUE`` characters."""
    return printable(" ".join(text[: 2 * LONGEST_VALUE].split()))[:LONGEST_VALUE]


def strictest(said: Iterable[Says]) -> Says:
    """The most restrictive of these; "unknown" of none."""
    return min(said, key=SAYS.index, default="unknown")

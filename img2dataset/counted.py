"""A number and its noun, for messages to people: ``1 row``, ``2,000 rows``."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """``count`` with separators of thousands, and its noun.

    Args:
        count: how many.
        noun: of one of them.
        plural: of any other number; None: ``noun`` with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"

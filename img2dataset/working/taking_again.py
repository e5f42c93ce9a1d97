"""Which rows of a finished dataset are taken again: a failure comes in, yes or no goes out.

Used by the api, to find the shards that have such rows, and by the worker, to find the rows. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence


def is_taken_again(message: str | None, beginnings: Sequence[str]) -> bool:
    """Whether a row that failed with ``message`` is taken again; ``beginnings`` are those of the failures."""
    return message is not None and message.startswith(tuple(beginnings))

"""What commands said on standard error, without how far they were: a busy machine makes any of them slow."""

from __future__ import annotations

import re

_WORK_LINE = re.compile(
    r"^img2dataset: [\w ]+: [\d,]+(?: of [\d,]+)? [\w ]+ in \d+ s(?:, .*)?\n", re.MULTILINE
)


def without_work_lines(said: str) -> str:
    """Without the lines of ``work_line``, which come after five seconds."""
    return _WORK_LINE.sub("", said)

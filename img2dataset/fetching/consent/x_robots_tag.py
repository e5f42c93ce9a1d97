"""X-Robots-Tag: does a server ask that this image be left out?

Directives are separated by commas. ``token:`` before a directive addresses it, and those after it, to
one program; a directive before any token speaks to everybody. Where img2dataset 1.47.0 read only the
first colon of a line (``otherbot: nofollow, mybot: noai`` was missed), every part is read here: all that
it left out is left out, and what it overlooked too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

# Their colon introduces a value, not a token's directives.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_TOKEN = re.compile(r"[^\s:,;]+")
EVERYBODY = "*"


def header_signal(settings: FetchSettings) -> HeaderSignal | None:
    """The signal as ``settings`` want it; None if no directive excludes."""
    disallowed = frozenset(each.strip().lower() for each in settings.disallowed_header_directives or ())
    if not disallowed:
        return None
    token = settings.user_agent_token
    return HeaderSignal(
        "X-Robots-Tag", failures.OPT_OUT_ROBOTS_TAG, lambda values: is_opted_out(values, disallowed, token)
    )


def is_opted_out(values: Iterable[str], disallowed: Collection[str], token: str | None) -> bool:
    """Whether any of the X-Robots-Tag header ``values`` excludes the image.

    Args:
        values: one text for each header of that name.
        disallowed: directives in lower case that exclude; empty accepts everything.
        token: the name this program is addressed by, in any case; None has no name.
    """
    own = token.strip().lower() if token else None
    for value in values:
        addressed = True
        for part in value.lower().split(","):
            name, colon, directive = (text.strip() for text in part.partition(":"))
            if colon and name not in _WITH_VALUE and _TOKEN.fullmatch(name):
                addressed = name in (own, EVERYBODY)
            else:
                directive = name
            if addressed and directive in disallowed:
                return True
    return False

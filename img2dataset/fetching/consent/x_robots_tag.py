"""X-Robots-Tag: does a server ask that this image be left out?

Directives are separated by commas; semicolons and blanks occur and are taken for them. ``token:`` before a
directive addresses it, and those after it, to one program; a directive before any token speaks to everybody.
Where img2dataset 1.47.0 read only the first colon of a line (``otherbot: nofollow, mybot: noai`` was missed),
every part is read here: all that it left out is left out, and what it overlooked too. ``none`` stands for
``noindex, nofollow``; ``unavailable_after`` with a date that is past, for ``noindex``.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal
from img2dataset.fetching.consent.robots_txt import PRODUCT_TOKEN
from img2dataset.options import DownloadOptions

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

# Their colon introduces a value, not a token's directives.
UNAVAILABLE_AFTER = "unavailable_after"
_WITH_VALUE = frozenset({UNAVAILABLE_AFTER, "max-snippet", "max-image-preview", "max-video-preview"})
_WORD = re.compile(r"([^\s:,;]+)[ \t]*(:?)")
_VALUE = re.compile(r"[ \t]*[^\s,;]+")
# A date has at most so many commas or semicolons in it, and characters.
_DATE_PARTS, _LONGEST_DATE = 3, 64
# Beside the default of ``disallowed_header_directives``, which is 1.47.0's, unless ``consent`` is off.
OF_CONSENT = ("noml",)
_STANDS_FOR = {"none": ("none", "noindex", "nofollow")}
EVERYBODY = "*"
_USUAL = DownloadOptions.disallowed_header_directives or ()


def header_signal(settings: FetchSettings) -> HeaderSignal:
    """The signal as ``settings`` want it."""
    directives = settings.disallowed_header_directives or ()
    if settings.consent != "off" and directives == _USUAL:
        directives = (*directives, *OF_CONSENT)
    disallowed = frozenset(each.strip().lower() for each in directives)
    token = settings.user_agent_token
    known = disallowed.union(_USUAL, OF_CONSENT)
    return HeaderSignal(
        "X-Robots-Tag",
        lambda value: "no" if is_opted_out([value], known, token) else "unknown",
        bool(disallowed),
        failures.OPT_OUT_ROBOTS_TAG,
        refuses=lambda values: is_opted_out(values, disallowed, token),
    )


def is_opted_out(
    values: Iterable[str], disallowed: Collection[str], token: str | None, now: float | None = None
) -> bool:
    """Whether any of the X-Robots-Tag header ``values`` excludes the image.

    Args:
        values: one text for each header of that name.
        disallowed: directives in lower case that exclude; empty accepts everything.
        token: the name this program is addressed by, in any case; None: ``img2dataset``.
        now: seconds since 1970, by which a date is past; None: as the clock says.
    """
    own = (token or PRODUCT_TOKEN).strip().lower()
    moment = time.time() if now is None else now
    for value in values:
        for addressed, directive in _directives(value, moment):
            meant = _STANDS_FOR.get(directive, (directive,))
            if addressed in (own, EVERYBODY) and any(each in disallowed for each in meant):
                return True
    return False


def _directives(value: str, now: float) -> Iterator[tuple[str, str]]:
    """To whom each directive speaks, and the directive; both in lower case."""
    addressed = EVERYBODY
    position = 0
    while (word := _WORD.search(value, position)) is not None:
        name, position = word[1].lower(), word.end()
        if not word[2]:
            yield addressed, name
        elif name == UNAVAILABLE_AFTER:
            moment, position = _date(value, position)
            yield addressed, "noindex" if moment is not None and moment <= now else name
        elif name in _WITH_VALUE:
            yield addressed, name
            found = _VALUE.match(value, position)
            position = found.end() if found is not None else position
        else:
            addressed = name


def _date(value: str, position: int) -> tuple[float | None, int]:
    """The date that stands there, in seconds since 1970, and where it ends; the longest text that is one."""
    rest = value[position : position + _LONGEST_DATE]
    ends = [match.start() for match in re.finditer(r"[,;]", rest)][:_DATE_PARTS]
    for end in [len(rest), *reversed(ends)]:
        if (moment := _seconds(rest[:end].strip())) is not None:
            return moment, position + end
    return None, position + (ends[0] if ends else len(rest))


def _seconds(text: str) -> float | None:
    """Of a date as RFC 822, RFC 850 or ISO 8601 write it; without a zone, UTC."""
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None

"""RSL 1.0 in an answer: ``Link: <https://…/l.xml>; rel="license"; type="application/rsl+xml"``. Recorded.

The address of the licence is kept; what it permits is read where robots.txt names it. Source: the Really
Simple Licensing standard 1.0 (rslstandard.org, late 2025).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from img2dataset.fetching.consent import HeaderSignal
from img2dataset.types import Says

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

_LICENSE = re.compile(r"<[^>]*>[^<]*\brsl\+xml\b", re.IGNORECASE)


def header_signal(settings: FetchSettings) -> HeaderSignal:
    """The signal, which refuses nothing by itself."""
    return HeaderSignal("Link", says, is_honoured=False)


def says(value: str) -> Says | None:
    """That there are conditions; None where the links are none to a licence of RSL."""
    return "conditions" if _LICENSE.search(value) else None

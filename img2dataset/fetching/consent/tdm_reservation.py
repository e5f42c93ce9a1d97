"""The TDM Reservation Protocol's header, ``tdm-reservation: 1``, for those who set ``respect_tdm``.

It reserves text and data mining (W3C TDMRep, section 4.1); 0 does not, and any other value is unknown and
reserves nothing. Of several, in one line or more, the most restrictive counts. ``consent`` strict sets
``respect_tdm``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings


def header_signal(settings: FetchSettings) -> HeaderSignal | None:
    """The signal as ``settings`` want it; None if they do not."""
    if not settings.respect_tdm:
        return None
    return HeaderSignal("tdm-reservation", failures.OPT_OUT_TDM, reserves)


def reserves(values: Iterable[str]) -> bool:
    """Whether any of these header lines reserves; a proxy may have joined several by commas."""
    return any(each.strip() == "1" for value in values for each in value.split(","))

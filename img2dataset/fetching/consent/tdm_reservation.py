"""The TDM Reservation Protocol's header, ``tdm-reservation: 1``, for those who set ``respect_tdm``.

It reserves text and data mining (W3C TDMRep, section 4.1); 0 does not, and any other value is unknown and
reserves nothing. Of several, in one line or more, the most restrictive counts. ``consent`` strict sets
``respect_tdm``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal
from img2dataset.types import Says

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings


def header_signal(settings: FetchSettings) -> HeaderSignal:
    """The signal as ``settings`` want it."""
    return HeaderSignal("tdm-reservation", says, settings.respect_tdm, failures.OPT_OUT_TDM)


def says(value: str) -> Says:
    """What one header line says; a proxy may have joined several by commas."""
    found = {each.strip() for each in value.split(",")}
    if "1" in found:
        return "no"
    return "yes" if "0" in found else "unknown"

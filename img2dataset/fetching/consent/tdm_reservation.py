"""The TDM Reservation Protocol's header, ``tdm-reservation: 1``, for those who set ``respect_tdm``.

It reserves text and data mining (W3C TDMRep, section 4.1); any other value reserves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings


def header_signal(settings: FetchSettings) -> HeaderSignal | None:
    """The signal as ``settings`` want it; None if they do not."""
    if not settings.respect_tdm:
        return None
    return HeaderSignal("tdm-reservation", failures.OPT_OUT_TDM, lambda values: "1" in values)

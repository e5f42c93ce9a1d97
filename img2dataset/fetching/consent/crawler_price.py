"""``crawler-price``, beside the answer 402 (pay per crawl, Cloudflare): pay or leave. Recorded; never paid.

The row fails by its status, with the price; see ``failures.of_payment``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset.fetching.consent import HeaderSignal

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings


def header_signal(settings: FetchSettings) -> HeaderSignal:
    """The signal: nobody pays, so it is honoured by leaving."""
    return HeaderSignal("crawler-price", lambda value: "conditions", is_honoured=True, only_with=402)

"""What an image's own bytes say about training on it: bytes come in, a list of signals goes out.

One signal a file: ``iptc_data_mining`` (in XMP) and ``c2pa_training`` (in a C2PA manifest). ``embedded``
finds the blocks in which they stand, in JPEG, PNG, WebP, AVIF and HEIF. Any bytes give a list and no
exception, in bounded time and memory. No signature is verified: a signal is what the file says, whoever wrote
it. Called by the outcome maker, where ``consent`` is strict (and they refuse) or ``save_consent`` records
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.imaging.consent import c2pa_training, iptc_data_mining
from img2dataset.imaging.consent.embedded import embedded_in
from img2dataset.imaging.consent.signal import SignalInBytes
from img2dataset.types import SAYS

__all__ = ["SignalInBytes", "refusal_of", "signals_in"]

# Real files have one or two.
MOST_SIGNALS = 16

_FAILURES = {
    iptc_data_mining.NAME: failures.OPT_OUT_IPTC,
    c2pa_training.NAME: failures.OPT_OUT_C2PA,
}
_REFUSING = ("no", "conditions")


def signals_in(body: bytes | bytearray | memoryview) -> list[SignalInBytes]:
    """The signals of one file, the most restrictive first; none twice, and ``MOST_SIGNALS`` at most."""
    blocks = embedded_in(bytes(body) if isinstance(body, memoryview) else body)
    found = chain(
        chain.from_iterable(map(iptc_data_mining.signals_of, blocks.xmp)),
        chain.from_iterable(map(c2pa_training.signals_of, blocks.c2pa)),
    )
    return sorted(dict.fromkeys(found), key=lambda signal: SAYS.index(signal.says))[:MOST_SIGNALS]


def refusal_of(signals: Iterable[SignalInBytes]) -> Failure | None:
    """The failure of a row whose image says this; None: it is not refused.

    Conditions refuse too: nobody here can meet them, and both sources say that without more they are a no.
    What is unknown refuses nothing.
    """
    refusing = (signal for signal in signals if signal.says in _REFUSING)
    strictest = min(refusing, key=lambda signal: SAYS.index(signal.says), default=None)
    return None if strictest is None else _FAILURES[strictest.signal]

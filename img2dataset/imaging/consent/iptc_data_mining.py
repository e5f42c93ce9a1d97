"""IPTC/PLUS Data Mining in XMP: ``plus:DataMining`` with a term of the PLUS vocabulary.

Source: the Data Mining property of the IPTC Photo Metadata Standard 2023.1 (October 2023), and the PLUS
vocabulary that it takes its terms from, http://ns.useplus.org/ldf/vocab/DMI-….

- ``DMI-PROHIBITED``, ``-AIMLTRAINING``, ``-GENAIMLTRAINING`` and ``-EXCEPTSEARCHENGINEINDEXING`` say no. For
  what a dataset will be used is not known here, so a no to generative models is one.
- ``DMI-PROHIBITED-SEECONSTRAINT`` and the two that point to an embedded or linked rights expression prohibit
  it but for what another property allows, which only a person can read: conditions. So does any other term
  that begins with DMI-PROHIBITED.
- ``DMI-ALLOWED`` says yes. ``DMI-UNSPECIFIED`` and anything else say nothing that is known.

A term stands with or without its URI, in an attribute or an element, in any part of the packet.
"""

from __future__ import annotations

from img2dataset.imaging.consent.signal import SignalInBytes, shown_value
from img2dataset.imaging.consent.xmp import values_of
from img2dataset.types import Says

NAME = "iptc-data-mining"
_NAMESPACE = "http://ns.useplus.org/ldf/xmp/1.0/"
_PROPERTY = "DataMining"
_PROHIBITED = "DMI-PROHIBITED"
_SAYS: dict[str, Says] = {
    "DMI-PROHIBITED": "no",
    "DMI-PROHIBITED-AIMLTRAINING": "no",
    "DMI-PROHIBITED-GENAIMLTRAINING": "no",
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING": "no",
    "DMI-PROHIBITED-SEECONSTRAINT": "conditions",
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": "conditions",
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR": "conditions",
    "DMI-ALLOWED": "yes",
    "DMI-UNSPECIFIED": "unknown",
}


def signals_of(packet: bytes) -> list[SignalInBytes]:
    """The signals of one XMP packet."""
    return [_signal_of(value) for value in values_of(packet, _NAMESPACE, _PROPERTY)]


def _signal_of(value: str) -> SignalInBytes:
    term = value.strip().rstrip("/").rpartition("/")[2].upper()
    says = _SAYS.get(term, "conditions" if term.startswith(_PROHIBITED) else "unknown")
    shown = term if term in _SAYS else value
    return SignalInBytes(NAME, "xmp", shown_value(shown), says)

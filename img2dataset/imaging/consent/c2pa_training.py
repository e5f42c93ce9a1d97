"""C2PA manifests with a training and data mining assertion: an entry a use, each with ``allowed`` or not.

Source: ``cawg.training-mining`` of the Creator Assertions Working Group, 1.0 (March 2024) and 1.1 (May
2025), and its forerunner ``c2pa.training-mining`` of the C2PA specification up to 1.4 (November 2023). Read
from the JUMBF boxes of the manifest store as it stands, in CBOR or JSON. NOT VERIFIED: neither the signature
nor that the manifest belongs to these pixels.

- ``ai_training`` and ``ai_generative_training`` are what counts, the more restrictive of the two. For one
  that is not there ``data_mining`` stands: its definition is that of text and data mining in Directive (EU)
  2019/790, which training is taken for. ``ai_inference`` and others say nothing of training.
- ``notAllowed`` says no, ``allowed`` yes. ``constrained`` is a condition; by 1.1 it is to be taken for
  ``notAllowed`` where no more is known.
- All manifests of the store count, those of the pictures that this one was made from too.

What is compressed, encrypted or kept elsewhere is not read.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from img2dataset.imaging.consent.cbor import NotCbor, read_cbor
from img2dataset.imaging.consent.jumbf import superboxes_in
from img2dataset.imaging.consent.signal import SignalInBytes, shown_value, strictest
from img2dataset.types import SAYS, Says

NAME = "c2pa"
_WHERE = "c2pa manifest"
_STORE = "c2pa"
# A version and the number of one of several may follow a label.
_LABEL = re.compile(r"(?:cawg|c2pa)\.training-mining(?:\.v\d+)?(?:__\d+)?")
# Real ones take some hundred bytes, and a text of conditions.
_LARGEST_BYTES = 65_536
# One a manifest; a picture that is made from a hundred others is rare.
MOST_ASSERTIONS = 128
_TRAININGS = ("ai_training", "ai_generative_training")
_MINING = "data_mining"
_KNOWN = (*_TRAININGS, _MINING, "ai_inference")
_SAYS: dict[str, Says] = {"allowed": "yes", "notAllowed": "no", "constrained": "conditions"}


def signals_of(store: bytes | memoryview) -> list[SignalInBytes]:
    """The signals of one manifest store, one an assertion, those of the newest manifest first."""
    assertions = (
        boxes
        for labels, boxes in superboxes_in(store)
        if labels[0] == _STORE and _LABEL.fullmatch(labels[-1])
    )
    return [_signal_of(_assertion_in(boxes)) for boxes in islice(assertions, MOST_ASSERTIONS)]


def _assertion_in(boxes: list[tuple[bytes, memoryview]]) -> Any:
    """What the first box of a known kind holds; None where that cannot be read."""
    for kind, content in boxes:
        if kind not in (b"cbor", b"json") or len(content) > _LARGEST_BYTES:
            continue
        try:
            return read_cbor(content) if kind == b"cbor" else json.loads(bytes(content))
        except (NotCbor, ValueError, RecursionError):
            return None
    return None


def _signal_of(assertion: Any) -> SignalInBytes:
    uses = _uses_in(assertion)
    if not uses:
        return SignalInBytes(NAME, _WHERE, "unreadable", "unknown")
    said = (uses.get(training, uses.get(_MINING)) for training in _TRAININGS)
    says = strictest(_says(use) for use in said if use is not None)
    return SignalInBytes(
        NAME, _WHERE, shown_value("; ".join(f"{name}={use}" for name, use in uses.items())), says
    )


def _uses_in(assertion: Any) -> dict[str, str]:
    """Known use → what is said of it, in a fixed order."""
    if not isinstance(assertion, dict):
        return {}
    # The schema of 1.0 left ``entries`` out by mistake.
    entries = assertion.get("entries", assertion)
    if not isinstance(entries, dict):
        return {}
    uses: dict[str, str] = {}
    for name in _KNOWN:
        said = [_use_of(entries[key]) for key in (f"cawg.{name}", f"c2pa.{name}") if key in entries]
        if said:
            uses[name] = min(said, key=lambda use: SAYS.index(_says(use)))
    return uses


def _use_of(entry: Any) -> str:
    use = entry.get("use") if isinstance(entry, dict) else entry
    return shown_value(use) if isinstance(use, str) else "?"


def _says(use: str) -> Says:
    return _SAYS.get(use, "unknown")

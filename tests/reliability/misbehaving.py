"""What goes wrong with which row of a soak: a seed and a number come in, a ``Fault`` or None goes out.

A plain function of both, so that the server that commits the fault and the check at the end agree without a
word. A fault that passes does so after ``times`` requests; the others last.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One way to go wrong: how often it befalls a row, for how many requests, and what a row then says.

    ``times`` 0: for ever. ``said`` are the beginnings of the failures it may end as.
    """

    name: str
    share: float
    times: int
    said: tuple[str, ...]


FAULTS = (
    Fault("404", 0.010, 0, ("HTTP 404",)),
    Fault("410", 0.002, 0, ("HTTP 410",)),
    Fault("truncated", 0.006, 0, ("decode: truncated",)),
    Fault("wrong content", 0.005, 0, ("decode:",)),
    Fault("empty", 0.002, 0, ("empty body",)),
    Fault("redirect loop", 0.003, 0, ("redirect: too many",)),
    # Taken as the plain body that it is: the beginning of a JPEG, and no more.
    Fault("lying gzip", 0.002, 0, ("decode: truncated",)),
    Fault("not http", 0.001, 0, ("protocol: not HTTP",)),
    Fault("hang for ever", 0.0005, 0, ("timeout: silence",)),
    Fault("drip for ever", 0.0005, 0, ("timeout: too slow", "timeout: deadline")),
    Fault("header flood", 0.0005, 0, ("protocol: headers too large",)),
    # Those below pass. A run tries each row twice: those that last for three requests need another run.
    Fault("500", 0.004, 1, ("HTTP 500",)),
    Fault("503", 0.004, 1, ("HTTP 503",)),
    Fault("503 for long", 0.003, 3, ("HTTP 503",)),
    Fault("429", 0.002, 1, ("HTTP 429",)),
    Fault("hang", 0.001, 3, ("timeout: silence",)),
    Fault("hang in body", 0.001, 3, ("timeout: silence",)),
    Fault("drip", 0.0005, 3, ("timeout: too slow", "timeout: deadline")),
    Fault("reset", 0.005, 1, ("connection:",)),
    Fault("reset for long", 0.003, 3, ("connection:",)),
    Fault("reset in body", 0.004, 3, ("connection:",)),
    Fault("close in body", 0.004, 3, ("connection:",)),
)
LAST = {fault.name: fault for fault in FAULTS if not fault.times}


def fault_of(seed: int, number: int) -> Fault | None:
    """The fault of the address with ``number``; None for nine in ten."""
    drawn = random.Random(seed << 32 | number).random()
    for fault in FAULTS:
        if drawn < fault.share:
            return fault
        drawn -= fault.share
    return None

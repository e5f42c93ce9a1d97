"""What the end of a request says about its host. Pure; called by ``admission``, used by ``hosts``."""

from __future__ import annotations

from enum import Enum

from img2dataset.fetching import failures


class Ending(Enum):
    """What the end of a request says about its host."""

    ACCEPTED = "it answered"
    PUSHED_BACK = "429, or 503 with Retry-After"
    OVERLOADED = "503 without Retry-After"
    NO_CONNECTION = "it could not be connected to"
    CONNECT_TIMEOUT = "connecting to it took the whole timeout"
    SILENT = "it was connected to, and fell silent for the whole timeout"
    NOTHING = "called off, begun again, or failed in a way that says nothing of the host"


_OF_FAILURE = {
    failures.CONNECTION_REFUSED: Ending.NO_CONNECTION,
    failures.CONNECTION_UNREACHABLE: Ending.NO_CONNECTION,
    failures.TIMEOUT_CONNECT: Ending.CONNECT_TIMEOUT,
    failures.TIMEOUT_SILENCE: Ending.SILENT,
}


def ending_of(failure: str | None, status: int | None, has_retry_after: bool) -> Ending:
    """What a request that ended with ``failure`` (None: success) and ``status`` says about its host."""
    if status == 429 or (status == 503 and has_retry_after):
        return Ending.PUSHED_BACK
    if status == 503:
        return Ending.OVERLOADED
    if status is not None:
        return Ending.ACCEPTED
    return Ending.NOTHING if failure is None else _OF_FAILURE.get(failure, Ending.NOTHING)

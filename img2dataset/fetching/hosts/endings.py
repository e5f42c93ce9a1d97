"""What the end of a request says about its host. Pure; called by ``scheduler``, used by ``slots``."""

from __future__ import annotations

from enum import Enum

from img2dataset.failures import Failure, OfHost


class Ending(Enum):
    """What the end of a request says about its host."""

    ACCEPTED = "it answered"
    PUSHED_BACK = "429, or 503 with Retry-After"
    OVERLOADED = "503 without Retry-After"
    NO_CONNECTION = "it could not be connected to"
    CONNECT_TIMEOUT = "connecting to it took the whole timeout"
    SILENT = "it was connected to, and fell silent for the whole timeout"
    NOTHING = "called off, begun again, or failed in a way that says nothing of the host"


_OF_HOST = {
    OfHost.NOTHING: Ending.NOTHING,
    OfHost.NO_CONNECTION: Ending.NO_CONNECTION,
    OfHost.CONNECT_TIMEOUT: Ending.CONNECT_TIMEOUT,
    OfHost.SILENT: Ending.SILENT,
}


def ending_of(failure: Failure | None, status: int | None, has_retry_after: bool) -> Ending:
    """What a request that ended with ``failure`` (None: success) and ``status`` says about its host."""
    if status == 429 or (status == 503 and has_retry_after):
        return Ending.PUSHED_BACK
    if status == 503:
        return Ending.OVERLOADED
    if status is not None:
        return Ending.ACCEPTED
    return Ending.NOTHING if failure is None else _OF_HOST[failure.kind.host]

"""What becomes of one row, and what must be known to make it so. Plain values that travel between workers."""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.failures import Failure
from img2dataset.types import ConsentSignal, ProcessedImage, Status


@dataclass(frozen=True, slots=True)
class RowTask:
    """What must be known of a row, beside its URL, to make its outcome.

    Where the options ask for them: ``boxes`` are the regions to blur, unchecked, as the list has them;
    ``expected_hash`` is what the bytes must have.
    """

    index: int
    boxes: object = None
    expected_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one row ended: ``failure`` says why it has no sample, ``digest`` is of the bytes.

    ``downloaded``: bytes of its body, of the first row of a URL. ``looks_like``: what a body is that is no
    image. ``signals``: what was said of taking it for training, where that is kept.
    """

    index: int
    status: Status
    failure: Failure | None = None
    image: ProcessedImage | None = None
    digest: str | None = None
    original_width: int | None = None
    original_height: int | None = None
    downloaded: int = 0
    looks_like: str | None = None
    signals: tuple[ConsentSignal, ...] = ()

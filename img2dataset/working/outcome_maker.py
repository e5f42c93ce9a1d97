"""Makes the outcomes of rows: a download comes in, what becomes of each row that waited for it goes out.

Used by the owner of a shard, and by a worker that helps another one.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.imaging.consent import refusal_of, signals_in
from img2dataset.types import (
    FAILED_TO_DOWNLOAD,
    FAILED_TO_RESIZE,
    SUCCESS,
    ConsentSignal,
    Fetched,
    ProcessedImage,
)
from img2dataset.working.body_kinds import what_it_is
from img2dataset.working.outcomes import Outcome, RowTask

logger = logging.getLogger("img2dataset")


class OutcomeMaker:
    """Makes outcomes of downloads: hashes them, holds them against what was expected, makes the pixels.

    Args:
        process_image: makes the pixels.
        compute_hash: the kind of hash, or None.
        verify_hash: whether the rows bring the hash their bytes must have.
        blur: whether they bring regions to blur.
        heeds_consent: whether an image is left out that says itself that it is not for training.
        records_consent: whether what it says of training is recorded, heeded or not. Where neither is wanted
            the bytes are not searched for it.
    """

    def __init__(
        self,
        process_image: ImageProcessor,
        compute_hash: str | None,
        verify_hash: bool,
        blur: bool,
        *,
        heeds_consent: bool,
        records_consent: bool,
    ):
        self._process_image = process_image
        self._compute_hash = compute_hash
        self._verify_hash = verify_hash
        self._blur = blur
        self._heeds_consent = heeds_consent
        self._records_consent = records_consent
        self._told = False

    def outcomes(self, fetched: Fetched, tasks: list[RowTask]) -> Iterator[Outcome]:
        """The outcomes of all rows that waited for one download."""
        body, signals = fetched.body, fetched.signals
        if body is None:
            failure = fetched.failure or failures.CONNECTION_NO_ANSWER
            for task in tasks:
                yield Outcome(task.index, FAILED_TO_DOWNLOAD, failure, signals=signals)
            return
        digest = hashlib.new(self._compute_hash, body).hexdigest() if self._compute_hash else None
        said, refusal = self._consent_in(body)
        signals = (*signals, *said)
        processed: ProcessedImage | ImageFailure | None = None
        downloaded = len(body)
        for task in tasks:
            size, downloaded = downloaded, 0
            if self._verify_hash and task.expected_hash != digest:
                yield Outcome(
                    task.index,
                    FAILED_TO_DOWNLOAD,
                    failures.HASH_MISMATCH,
                    downloaded=size,
                    signals=signals,
                )
                continue
            if refusal is not None:
                yield Outcome(task.index, FAILED_TO_DOWNLOAD, refusal, downloaded=size, signals=signals)
                continue
            # Rows of one URL share its pixels, unless each has regions of its own to blur.
            if processed is None or self._blur:
                processed = self._processed(body, task.boxes)
            if isinstance(processed, ImageFailure):
                yield Outcome(
                    task.index,
                    FAILED_TO_RESIZE,
                    processed.failure,
                    digest=digest,
                    original_width=processed.width,
                    original_height=processed.height,
                    downloaded=size,
                    looks_like=what_it_is(body) if processed.failure == failures.NOT_AN_IMAGE else None,
                    signals=signals,
                )
            else:
                yield Outcome(
                    task.index,
                    SUCCESS,
                    image=processed,
                    digest=digest,
                    original_width=processed.original_width,
                    original_height=processed.original_height,
                    downloaded=size,
                    signals=signals,
                )

    def _consent_in(self, body: bytes | bytearray) -> tuple[tuple[ConsentSignal, ...], Failure | None]:
        """What an image says itself of training, for the record; and why it is left out, if it is."""
        if not self._heeds_consent and not self._records_consent:
            return (), None
        try:
            said = signals_in(body)
        except MemoryError:
            return (), failures.OUT_OF_MEMORY if self._heeds_consent else None
        except Exception:
            self._tell_fault()
            # Whether it may be taken is not known then: where that is heeded it is not.
            return (), failures.INTERNAL_ERROR if self._heeds_consent else None
        refusal = refusal_of(said) if self._heeds_consent else None
        if not self._records_consent:
            return (), refusal
        now = time.time()
        recorded = (
            ConsentSignal(each.signal, each.where, each.value, each.says, self._heeds_consent, now)
            for each in said
        )
        return tuple(recorded), refusal

    def _processed(self, body: bytes | bytearray, boxes: object) -> ProcessedImage | ImageFailure:
        try:
            return self._process_image(body, boxes)
        except ImageFailure as failure:
            return failure
        except MemoryError:
            return ImageFailure(failures.OUT_OF_MEMORY)
        except Exception:
            # A fault of this program that one image brings out is that row's failure, and no other's.
            self._tell_fault()
            return ImageFailure(failures.INTERNAL_ERROR)

    def _tell_fault(self) -> None:
        if not self._told:
            self._told = True
            logger.exception("an image could not be processed; the others of its kind are not named")

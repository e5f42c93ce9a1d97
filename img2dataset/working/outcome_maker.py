"""Makes the outcomes of rows: a download comes in, what becomes of each row that waited for it goes out.

Used by the owner of a shard, and by a worker that helps another one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator

from img2dataset import failures
from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, Fetched, ProcessedImage
from img2dataset.working.body_kinds import what_it_is
from img2dataset.working.outcomes import Outcome, RowTask

logger = logging.getLogger("img2dataset")


class OutcomeMaker:
    """Makes outcomes of downloads: hashes them, holds them against what was expected, makes the pixels."""

    def __init__(
        self, process_image: ImageProcessor, compute_hash: str | None, verify_hash: bool, blur: bool
    ):
        self._process_image = process_image
        self._compute_hash = compute_hash
        self._verify_hash = verify_hash
        self._blur = blur
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

    def _processed(self, body: bytes | bytearray, boxes: object) -> ProcessedImage | ImageFailure:
        try:
            return self._process_image(body, boxes)
        except ImageFailure as failure:
            return failure
        except MemoryError:
            return ImageFailure(failures.OUT_OF_MEMORY)
        except Exception:
            # A fault of this program that one image brings out is that row's failure, and no other's.
            if not self._told:
                self._told = True
                logger.exception("an image could not be processed; the others of its kind are not named")
            return ImageFailure(failures.INTERNAL_ERROR)

"""Rows in, samples out, as they are finished: the download engine without a writer.

One thread carries the downloads (``Fetcher``), another makes the pixels (here) and waits when the consumer
has enough. Called by ``stream`` and ``url_stream``.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from img2dataset.fetching import Fetcher
from img2dataset.fetching.contact_notice import ContactNotice
from img2dataset.formats import consent_ledger
from img2dataset.formats.dataset import CONSENT_COLUMN
from img2dataset.imaging import ImageProcessor
from img2dataset.imaging.at_size import rgb_array
from img2dataset.options import Options
from img2dataset.settings import fetch_settings
from img2dataset.training.load.image_bytes import DecodeFailed, decode_image
from img2dataset.training.streaming.rows import StreamRow
from img2dataset.types import FAILED_TO_DOWNLOAD, Fetched, Row, Status
from img2dataset.working.outcome_maker import OutcomeMaker
from img2dataset.working.outcomes import Outcome, RowTask

ImageKind = Literal["bytes", "array", "pil"]
IMAGE_KINDS = ("bytes", "array", "pil")
# Samples that cross from thread to thread at once: a hand-over costs 20 microseconds.
BATCH = 16


@dataclass(frozen=True, slots=True)
class StreamedSample:
    """One row of a stream.

    Args:
        row: its number in the list, from 0.
        key: its key, as in the files of a download with the same options.
        url, caption: as they stand in the list.
        image: None for a failure; else bytes of a file, an array of shape (height, width, 3), uint8, RGB, or
            a ``PIL.Image.Image``, as was asked for.
        status: "success", "failed_to_download" or "failed_to_resize".
        error_message: why it failed, in the small language of failures; None for a success.
        metadata: every metadata column of a download, in its order.
        place: its number in the order in which this epoch goes through the list.
    """

    row: int
    key: str
    url: str | None
    caption: str | None
    image: Any
    status: Status
    error_message: str | None
    metadata: dict[str, Any] = field(default_factory=dict)
    place: int = 0

    @property
    def img(self) -> Any:
        """``image``, by the name that samples of the datasets have it under."""
        return self.image

    @property
    def index(self) -> int:
        """``row``, likewise."""
        return self.row


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


class SampleEngine:
    """Turns rows into samples on a thread of its own; iterate over it once, and close it.

    Args:
        rows: asked for more only when the downloads at hand no longer fill the transfers.
        options: of the run.
        image: what images are handed out as.
        look_ahead: finished samples that may wait for the consumer.
        tell: called with what the user is to know.
    """

    def __init__(
        self,
        rows: Iterator[StreamRow],
        options: Options,
        image: ImageKind,
        look_ahead: int,
        tell: Callable[[str], None],
    ):
        self._rows = rows
        self._options = options
        self._image = image
        self._maker = OutcomeMaker(
            # Encoding only to decode again would cost 2 ms an image and the loss of one more JPEG.
            ImageProcessor(options, None if image == "bytes" else rgb_array),
            options.compute_hash,
            options.verify_hash is not None,
            options.bbox_col is not None,
            heeds_consent=options.consent == "strict",
            records_consent=options.save_consent,
        )
        self._fetched: queue.SimpleQueue[Fetched | None] = queue.SimpleQueue()
        self._waiting: dict[int, list[StreamRow]] = {}  # by the number of the row that is fetched
        self._first_of: dict[str, int] = {}  # the row that is fetched for a URL that is on its way
        self._finished: queue.SimpleQueue[list[StreamedSample] | _End] = queue.SimpleQueue()
        self._room = threading.Semaphore(max(1, -(-look_ahead // BATCH)))
        self._batch: list[StreamedSample] = []
        self._closing = False
        settings = fetch_settings(options)
        self._contact_notice = ContactNotice(settings, tell)
        self._fetcher = Fetcher(settings, self._fetched.put)
        self._thread = threading.Thread(target=self._run, name="img2dataset-stream", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[StreamedSample]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[StreamedSample]]:
        """The samples, a few at a time, in the order in which they are finished.

        Raises:
            InputError: the list breaks off.
        """
        while True:
            finished = self._finished.get()
            if isinstance(finished, _End):
                if finished.error is not None:
                    raise finished.error
                return
            self._room.release()
            yield finished

    def close(self) -> None:
        """Stop; what is on its way is dropped. Idempotent."""
        self._closing = True
        self._room.release()
        self._fetched.put(None)
        self._fetcher.close()
        self._thread.join(5)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._loop()
            self._hand_over()
        except BaseException as caught:
            error = caught
        self._finished.put(_End(error))

    def _loop(self) -> None:
        exhausted = False
        while not self._closing:
            if not exhausted and self._wants_rows():
                exhausted = not self._submit()
            if exhausted and not self._waiting:
                return
            fetched = self._next_fetched()
            if fetched is not None and not self._closing:
                self._make_samples(fetched)

    def _wants_rows(self) -> bool:
        """Slow hosts hold rows for long; how many there are is bounded, since each is memory."""
        concurrency = self._options.thread_count
        return self._fetcher.waiting < concurrency and len(self._waiting) < 4 * concurrency

    def _submit(self) -> bool:
        """Begin the downloads of some more rows; False if there are none."""
        rows = []
        taken = 0
        for row in self._rows:
            taken += 1
            if row.refusal is not None or row.url is None:
                self._emit(row, Outcome(0, FAILED_TO_DOWNLOAD, row.refusal))
            elif (first := self._first_of.get(row.url)) is not None:
                self._waiting[first].append(row)
            else:
                self._first_of[row.url] = row.place
                self._waiting[row.place] = [row]
                rows.append(Row(0, row.place, row.url))
            if taken >= max(BATCH, self._options.thread_count):
                break
        if rows:
            self._contact_notice.look_at(row.url for row in rows)
            self._fetcher.submit(rows)
        return taken > 0

    def _next_fetched(self) -> Fetched | None:
        if self._batch and self._fetched.empty():
            self._hand_over()  # nothing to do for a moment: the consumer shall not wait for a full batch
        if not self._waiting:
            return None
        try:
            return self._fetched.get(timeout=0.5)
        except queue.Empty:
            self._fetcher.check()
            return None

    def _make_samples(self, fetched: Fetched) -> None:
        rows = self._waiting.pop(fetched.row.index)
        self._first_of.pop(fetched.row.url, None)
        try:
            tasks = [RowTask(at, row.boxes, row.expected_hash) for at, row in enumerate(rows)]
            for outcome in self._maker.outcomes(fetched, tasks):
                self._emit(rows[outcome.index], outcome)
        finally:
            self._fetcher.release(fetched.size)

    def _emit(self, row: StreamRow, outcome: Outcome) -> None:
        self._batch.append(self._sample(row, outcome))
        if len(self._batch) >= BATCH:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._batch and not self._closing:
            self._room.acquire()
            self._finished.put(self._batch)
        self._batch = []

    def _sample(self, row: StreamRow, outcome: Outcome) -> StreamedSample:
        made = outcome.image
        status, message, image = outcome.status, outcome.failure, None
        if made is not None:
            try:
                image = self._as_asked(made.image)
            except DecodeFailed as failure:
                status, message, made = "failed_to_resize", failure.failure, None
        metadata = row.metadata | {
            "key": row.key,
            "status": status,
            "error_message": message,
            "width": made.width if made else None,
            "height": made.height if made else None,
            "original_width": outcome.original_width,
            "original_height": outcome.original_height,
        }
        if self._options.extract_exif:
            metadata["exif"] = made.exif if made else None
        if self._options.compute_hash:
            metadata[self._options.compute_hash] = outcome.digest
        if self._options.save_consent:
            metadata[CONSENT_COLUMN] = consent_ledger.to_text(outcome.signals)
        return StreamedSample(
            row.number,
            row.key,
            row.url,
            row.metadata.get("caption"),
            image,
            status,
            message,
            metadata,
            row.place,
        )

    def _as_asked(self, image: Any) -> Any:
        if self._image == "bytes":
            return bytes(image)
        import numpy as np
        from PIL import Image

        if not isinstance(image, np.ndarray):  # kept as it came, so not decoded yet
            picture = decode_image(image, "RGB", self._options.max_decoded_pixels)
            return picture if self._image == "pil" else np.asarray(picture)
        return image if self._image == "array" else Image.fromarray(image)

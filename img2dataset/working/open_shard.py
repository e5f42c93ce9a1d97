"""The life of one shard in a worker: from its rows, over each settled download, to its commit.

The worker calls ``rows_to_fetch`` once, ``settle`` for each answer and ``commit`` when ``complete``.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.types import (
    BBOX_COLUMN,
    EXPECTED_HASH_COLUMN,
    FAILED_TO_DOWNLOAD,
    FAILED_TO_RESIZE,
    SUCCESS,
    Fetched,
    ProcessedImage,
    Row,
    Sample,
    Shard,
    ShardStats,
    Status,
)
from img2dataset.working.settings import WorkSettings
from img2dataset.writing import ShardWriter

MISSING_URL = "invalid url: missing"


class OpenShard:
    """One shard being made. Rows settle in any order; equal URLs are fetched once for all their rows."""

    def __init__(
        self,
        shard: Shard,
        settings: WorkSettings,
        process_image: ImageProcessor,
        on_settled: Callable[[Status], None],
    ):
        self.shard_id = shard.shard_id
        self._settings = settings
        self._process_image = process_image
        self._on_settled = on_settled
        self._start_time = time.time()
        self._count = shard.rows.num_rows
        self._unsettled = self._count
        self._statuses: Counter[Status] = Counter()
        self._messages: Counter[str] = Counter()

        columns = shard.rows.column_names
        self._urls: list[str | None] = shard.rows.column("url").to_pylist()
        self._invalid_urls = shard.invalid_urls
        self._captions = shard.rows.column("caption").to_pylist() if "caption" in columns else None
        self._boxes = shard.rows.column(BBOX_COLUMN).to_pylist() if BBOX_COLUMN in columns else None
        self._expected_hashes = (
            shard.rows.column(EXPECTED_HASH_COLUMN).to_pylist() if settings.verify_hash else None
        )
        visible = [name for name in columns if name not in (BBOX_COLUMN, EXPECTED_HASH_COLUMN)]
        self._writer = ShardWriter(settings.write, shard.shard_id, shard.rows.select(visible))
        # The rows of one URL, by the first of them: the one that is fetched.
        self._rows_of: dict[int, list[int]] = {}

    @property
    def complete(self) -> bool:
        """Whether every row has succeeded or failed."""
        return self._unsettled == 0

    @property
    def unsettled(self) -> int:
        """How many rows are still to come."""
        return self._unsettled

    def rows_to_fetch(self) -> Iterator[Row]:
        """The rows whose URL must be fetched; rows that cannot be are settled as failures at once."""
        first_of: dict[str, int] = {}
        for index, url in enumerate(self._urls):
            refusal = self._refusal(index, url)
            if refusal is not None:
                self._fail(index, FAILED_TO_DOWNLOAD, refusal)
            elif url is not None:
                first = first_of.setdefault(url, index)
                self._rows_of.setdefault(first, []).append(index)
        for first in self._rows_of:
            yield Row(self.shard_id, first, self._urls[first] or "")

    def _refusal(self, index: int, url: str | None) -> str | None:
        """Why a row is not even tried, if so."""
        if url is None or not url.strip():
            return self._invalid_urls.get(index, MISSING_URL)
        return self._writer.input_row_failure(index)

    def settle(self, fetched: Fetched) -> None:
        """Finish every row that waited for this download: process its image and write it, or its failure.

        Raises:
            OSError, OutputError: the writer cannot go on; the shard is to be discarded.
        """
        rows = self._rows_of.pop(fetched.row.index)
        if fetched.body is None:
            for index in rows:
                self._fail(index, FAILED_TO_DOWNLOAD, fetched.failure or "connection: no answer")
            return
        algorithm = self._settings.compute_hash
        digest = hashlib.new(algorithm, fetched.body).hexdigest() if algorithm else None
        processed: ProcessedImage | ImageFailure | None = None
        for index in rows:
            if self._expected_hashes is not None and self._expected_hashes[index] != digest:
                self._fail(index, FAILED_TO_DOWNLOAD, "hash mismatch")
                continue
            boxes = self._boxes[index] if self._boxes is not None else None
            # Rows of one URL share its pixels, unless each has regions of its own to blur.
            if processed is None or self._boxes is not None:
                processed = self._processed(fetched.body, boxes)
            if isinstance(processed, ImageFailure):
                self._fail(index, FAILED_TO_RESIZE, processed.message, digest, processed)
            else:
                self._succeed(index, processed, digest)

    def _processed(self, body: bytes | bytearray, boxes: Any) -> ProcessedImage | ImageFailure:
        try:
            return self._process_image(body, boxes)
        except ImageFailure as failure:
            return failure
        except MemoryError:
            return ImageFailure("decode: out of memory")

    def _succeed(self, index: int, processed: ProcessedImage, digest: str | None) -> None:
        computed = {
            "status": SUCCESS,
            "error_message": None,
            "width": processed.width,
            "height": processed.height,
            "original_width": processed.original_width,
            "original_height": processed.original_height,
        }
        self._write(index, processed.image, processed.extension, computed, processed.exif, digest)
        self._count_row(SUCCESS, SUCCESS)

    def _fail(
        self,
        index: int,
        status: Status,
        message: str,
        digest: str | None = None,
        failure: ImageFailure | None = None,
    ) -> None:
        computed = {
            "status": status,
            "error_message": message,
            "width": None,
            "height": None,
            "original_width": failure.width if failure else None,
            "original_height": failure.height if failure else None,
        }
        self._write(index, None, self._settings.write.encode_format, computed, None, digest)
        self._count_row(status, message)

    def _write(
        self,
        index: int,
        image: bytes | bytearray | memoryview | None,
        extension: str,
        computed: dict[str, Any],
        exif: str | None,
        digest: str | None,
    ) -> None:
        key = self._writer.key_of(index)
        metadata: dict[str, Any] = {"key": key, **computed}
        if self._settings.write.extract_exif:
            metadata["exif"] = exif
        if self._settings.compute_hash:
            metadata[self._settings.compute_hash] = digest
        caption = self._captions[index] if self._captions is not None else None
        self._writer.write(Sample(index, key, image, extension, caption, metadata))

    def _count_row(self, status: Status, message: str) -> None:
        self._statuses[status] += 1
        self._messages[message] += 1
        self._unsettled -= 1
        self._on_settled(status)

    def commit(self) -> ShardStats:
        """Put the shard under its final name, its statistics last.

        Raises:
            OSError, OutputError: it could not be; the shard is to be discarded.
        """
        stats = ShardStats(
            shard_id=self.shard_id,
            count=self._count,
            successes=self._statuses[SUCCESS],
            failed_to_download=self._statuses[FAILED_TO_DOWNLOAD],
            failed_to_resize=self._statuses[FAILED_TO_RESIZE],
            start_time=self._start_time,
            end_time=time.time(),
            status_dict=dict(self._messages.most_common()),
        )
        self._writer.commit(stats)
        return stats

    def discard(self) -> None:
        """Remove what was written so far."""
        self._writer.discard()

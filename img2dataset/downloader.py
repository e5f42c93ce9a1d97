"""``Downloader`` and ``download_image_with_retry`` under the names that scripts for 1.47.0 import.

Thin: rows are fetched by this program's own loop, with its limits and manners, and images are made by the
``Resizer`` that is handed in.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from img2dataset.resizer import Resizer
from img2dataset.training.downloading import EngineDownloader
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS
from img2dataset.writing import sample_key, shard_name

logger = logging.getLogger("img2dataset")

_SIZES = ("width", "height", "original_width", "original_height")


@lru_cache(maxsize=8)
def _engine(
    timeout: float, retries: int, user_agent_token: str | None, directives: tuple[str, ...], concurrency: int
) -> EngineDownloader:
    from img2dataset.fetching import FetchSettings

    return EngineDownloader(
        FetchSettings(
            concurrency=concurrency,
            timeout_s=timeout,
            retries=retries,
            user_agent_token=user_agent_token,
            disallowed_header_directives=directives,
        )
    )


def download_image_with_retry(
    row: tuple[Any, str],
    timeout: float,
    retries: int,
    user_agent_token: str | None = None,
    disallowed_header_directives: Sequence[str] | None = None,
) -> tuple[Any, io.BytesIO | None, str | None]:
    """Download one image.

    Args:
        row: a key of the caller's, and the URL.
        timeout: seconds, on connecting and on every silence.
        retries: tries after the first, for failures that can pass.
        user_agent_token: your name in the User-Agent.
        disallowed_header_directives: X-Robots-Tag directives that exclude an image; None: all are accepted.

    Returns:
        The key, the file as a stream, and None; or the key, None, and why there is none.
    """
    key, url = row
    engine = _engine(timeout, retries, user_agent_token, tuple(disallowed_header_directives or ()), 64)
    (entry,) = engine.download([(url, None)])
    if entry.failure is not None:
        return key, None, entry.failure
    return key, io.BytesIO(entry.body), None


class Downloader:
    """Makes one shard after another, with a sample writer of the caller's.

    Args:
        sample_writer_class: called with (shard_id, output_folder, save_caption, oom_shard_count, schema,
            encode_format); has ``write(img_str, key, caption, meta)`` and ``close()``.
        resizer: makes the images.
        thread_count: downloads in flight.
        save_caption: whether the shards have captions.
        extract_exif: whether the metadata have the original's EXIF.
        output_folder: where the statistics go.
        column_list: the columns of the shards' files, ``url`` among them.
        timeout, retries, user_agent_token, disallowed_header_directives: as ``download_image_with_retry``.
        number_sample_per_shard, oom_shard_count: digits of the keys and of the shard's number.
        compute_hash: md5, sha256, sha512 or None.
        verify_hash_type: the column with the hash that the bytes must have, if any.
        encode_format: handed to the writer.
        blurring_bbox_col: the column with regions to blur, if any.
    """

    def __init__(
        self,
        sample_writer_class: Callable[..., Any],
        resizer: Resizer,
        thread_count: int,
        save_caption: bool,
        extract_exif: bool,
        output_folder: str,
        column_list: Sequence[str],
        timeout: float,
        number_sample_per_shard: int,
        oom_shard_count: int,
        compute_hash: str | None,
        verify_hash_type: str | None,
        encode_format: str,
        retries: int,
        user_agent_token: str | None,
        disallowed_header_directives: Sequence[str] | None,
        blurring_bbox_col: str | None = None,
    ) -> None:
        self._open_writer = sample_writer_class
        self._resizer = resizer
        self._thread_count = thread_count
        self._save_caption = save_caption
        self._extract_exif = extract_exif
        self._output_folder = output_folder
        self._columns = list(column_list)
        self._rows_per_shard = number_sample_per_shard
        self._digits = oom_shard_count
        self._compute_hash = compute_hash
        self._verify_hash_type = verify_hash_type
        self._encode_format = encode_format
        self._bbox_col = blurring_bbox_col
        directives = tuple(disallowed_header_directives or ())
        self._engine = _engine(timeout, retries, user_agent_token, directives, thread_count)

    def __call__(self, row: tuple[int, str]) -> tuple[bool, tuple[int, str]]:
        """Make one shard.

        Args:
            row: its number, and the Arrow file with its rows, which is removed when the shard is made.

        Returns:
            Whether it was made, and ``row``.
        """
        try:
            self._make(*row)
        except Exception as error:
            logger.error("shard %d failed: %s: %s", row[0], type(error).__name__, error)
            logger.debug("shard %d", row[0], exc_info=True)
            return False, row
        return True, row

    def _make(self, shard_id: int, path: str) -> None:
        import pyarrow as pa

        from img2dataset.paths import open_path

        start_time, began = time.time(), time.monotonic()
        file_system, name = open_path(path)
        with file_system.open(name, "rb") as file:
            rows = pa.ipc.open_file(file).read_all().select(self._columns).to_pylist()
        writer = self._open_writer(
            shard_id,
            self._output_folder,
            self._save_caption,
            self._digits,
            self._schema(pa, path),
            self._encode_format,
        )
        statuses: Counter[str] = Counter()
        messages: Counter[str] = Counter()
        for index, image, metadata in self._samples(rows):
            metadata["key"] = sample_key(shard_id, index, self._digits, self._rows_per_shard)
            statuses[metadata["status"]] += 1
            messages[metadata["error_message"] or SUCCESS] += 1
            writer.write(image, metadata["key"], rows[index].get("caption"), metadata)
        writer.close()
        statistics = {
            "count": len(rows),
            "successes": statuses[SUCCESS],
            "failed_to_download": statuses[FAILED_TO_DOWNLOAD],
            "failed_to_resize": statuses[FAILED_TO_RESIZE],
            "duration": time.monotonic() - began,
            "start_time": start_time,
            "end_time": start_time + time.monotonic() - began,
            "status_dict": dict(messages),
        }
        output, folder = open_path(self._output_folder)
        text = json.dumps(statistics, indent=4).encode()
        output.pipe_file(f"{folder}/{shard_name(shard_id, self._digits)}_stats.json", text)
        file_system.rm(name)

    def _schema(self, pa: Any, path: str) -> Any:
        from img2dataset.paths import open_path

        file_system, name = open_path(path)
        with file_system.open(name, "rb") as file:
            schema = pa.ipc.open_file(file).schema
        fields = [schema.field(column) for column in self._columns if column != self._bbox_col]
        computed = [("key", pa.string()), ("status", pa.string()), ("error_message", pa.string())]
        computed += [(name, pa.int32()) for name in _SIZES]
        computed += [("exif", pa.string())] if self._extract_exif else []
        computed += [(self._compute_hash, pa.string())] if self._compute_hash else []
        return pa.schema([*fields, *(pa.field(*each) for each in computed)])

    def _samples(self, rows: list[dict[str, Any]]) -> Iterator[tuple[int, bytes | None, dict[str, Any]]]:
        """Each row's place, its image and its metadata, which lack the key."""
        for start in range(0, len(rows), self._thread_count):
            part = rows[start : start + self._thread_count]
            entries = self._engine.download([(row["url"] or "", None) for row in part])
            for index, (row, entry) in enumerate(zip(part, entries, strict=True), start):
                image, computed = self._made(row, entry)
                kept = {name: value for name, value in row.items() if name != self._bbox_col}
                yield index, image, {**kept, "key": None, **computed}

    def _made(self, row: dict[str, Any], entry: Any) -> tuple[bytes | None, dict[str, Any]]:
        digest = None
        failure = entry.failure
        if failure is None and self._compute_hash:
            digest = hashlib.new(self._compute_hash, entry.body).hexdigest()
            if self._verify_hash_type and row[self._verify_hash_type] != digest:
                failure, digest = "hash mismatch", None
        if failure is not None:
            return None, self._metadata(FAILED_TO_DOWNLOAD, failure, (None,) * 4, None, digest)
        boxes = row.get(self._bbox_col) if self._bbox_col else None
        image, *sizes, failure = self._resizer(io.BytesIO(entry.body), boxes)
        if failure is not None:
            return None, self._metadata(FAILED_TO_RESIZE, failure, (None,) * 4, None, digest)
        return image, self._metadata(SUCCESS, None, sizes, entry.body, digest)

    def _metadata(
        self, status: str, message: str | None, sizes: Sequence[Any], body: bytes | None, digest: str | None
    ) -> dict[str, Any]:
        metadata = {"status": status, "error_message": message, **dict(zip(_SIZES, sizes, strict=True))}
        if self._extract_exif:
            metadata["exif"] = None if body is None else _exif(body)
        if self._compute_hash:
            metadata[self._compute_hash] = digest
        return metadata


def _exif(body: bytes) -> str:
    from img2dataset.imaging import ImageFailure
    from img2dataset.imaging.exif import exif_json
    from img2dataset.imaging.header import read_header

    try:
        header = read_header(body)
    except ImageFailure:
        return "{}"
    return (exif_json(body, header) if header.exif is not None else None) or "{}"

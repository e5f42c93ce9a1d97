"""The latest images of a folder, with their captions: read from finished shards, a bounded part of each.

Images are handed on as they are stored, and decoded by nobody here: they are strangers' bytes. Used by
``live_page``.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

from img2dataset.formats import OutputFormat, formats_with_own_data, output_format
from img2dataset.formats.dataset import finished_names, metadata_name
from img2dataset.formats.findings import Findings
from img2dataset.formats.format import FolderEntry
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location

logger = logging.getLogger("img2dataset")

SHOWN_SAMPLES, MOST_OF_A_SHARD, MOST_SHARDS_TRIED = 24, 12, 4
MOST_IMAGE_BYTES, MOST_BYTES_WITH_IMAGES = 512 * 1024, 4 << 20
MOST_CAPTION = 300
# A shard with more rows than this shows no captions: its metadata would take too long.
MOST_ROWS = 200_000
_KINDS = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
)


@dataclass(frozen=True, slots=True)
class ShownSample:
    """An image, what kind it is, and the row that it is of."""

    key: str
    image: bytes
    content_type: str
    caption: str | None = None
    url: str | None = None
    width: int | None = None
    height: int | None = None

    def to_document(self) -> dict[str, Any]:
        """What is shown beside the image, as JSON values."""
        names = ("key", "caption", "url", "width", "height")
        return {name: getattr(self, name) for name in names}


class LatestSamples:
    """Finds samples of the shards that have come last.

    Args:
        location: the output folder.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._source = _Files(location)
        self._known: set[str] = set()
        self._shown: list[ShownSample] = []

    def look(self) -> list[ShownSample]:
        """The latest samples, at most ``SHOWN_SAMPLES``; of each shard its first ones.

        Raises:
            Exception: the folder cannot be listed; every file system has its own errors.
        """
        names = names_in(self._location, self._location.path)
        finished = finished_names(names)
        new = [shard for shard in finished if shard not in self._known]
        self._known = set(finished)
        there = set(names)
        found: list[ShownSample] = []
        # Those with the highest numbers: which one has ended last is not told by names.
        for shard in new[::-1][:MOST_SHARDS_TRIED]:
            if len(found) < SHOWN_SAMPLES:
                found += self._of_shard(shard, there)
        self._shown = (found + self._shown)[:SHOWN_SAMPLES]
        return self._shown

    def _of_shard(self, shard: str, there: set[str]) -> list[ShownSample]:
        shown_format = _format_of(shard, there)
        if shown_format is None:
            return []
        try:
            images = list(itertools.islice(self._images(shown_format, shard), MOST_OF_A_SHARD))
            rows = self._rows(shard, {key for key, _, _ in images}) if images else {}
        except Exception as error:  # a shard that is broken, replaced or removed meanwhile shows no images
            logger.debug("the images of shard %s cannot be shown: %s", shard, error)
            return []
        return [ShownSample(key, image, kind, **rows.get(key, {})) for key, image, kind in images]

    def _images(self, shown_format: OutputFormat, shard: str) -> Iterator[tuple[str, bytes, str]]:
        samples = shown_format.samples(
            self._source,
            shown_format.data_name(shard) or "",
            columns=(),
            with_images=True,
            findings=Findings(),
        )
        for sample in itertools.islice(samples, 4 * MOST_OF_A_SHARD):
            if sample.image is not None and len(sample.image) <= MOST_IMAGE_BYTES:
                image = bytes(sample.image)
                if (kind := kind_of(image)) is not None:
                    yield sample.key, image, kind

    def _rows(self, shard: str, keys: set[str]) -> dict[str, dict[str, Any]]:
        """What the metadata say of these keys."""
        import pyarrow.parquet as pq

        wanted = ("key", "caption", "url", "width", "height")
        found: dict[str, dict[str, Any]] = {}
        with self._source.open(metadata_name(shard)) as file, pq.ParquetFile(file) as table:
            if table.metadata.num_rows > MOST_ROWS:
                return {}
            columns = [name for name in wanted if name in table.schema_arrow.names]
            for batch in table.iter_batches(batch_size=1024, columns=columns):
                for row in batch.to_pylist():
                    key = row.pop("key", None)
                    if key in keys:
                        found[key] = {name: _shown(value) for name, value in row.items()}
                if len(found) == len(keys):
                    break
        return found


def shown_samples(samples: Sequence[ShownSample], with_images: bool) -> list[dict[str, Any]]:
    """Samples as JSON values.

    Args:
        samples: to be shown.
        with_images: the images too, as addresses that hold them, for a page that outlives its server; those
            for which there is no room are left out.
    """
    documents, room = [], MOST_BYTES_WITH_IMAGES
    for sample in samples:
        room -= len(sample.image) if with_images else 0
        if room >= 0:
            data = f"data:{sample.content_type};base64,{base64.b64encode(sample.image).decode()}"
            documents.append({**sample.to_document(), **({"data": data} if with_images else {})})
    return documents


def kind_of(image: bytes) -> str | None:
    """The content type of an image that every browser shows; None for whatever else a file holds."""
    return next((kind for mark, at, kind in _KINDS if image[at : at + len(mark)] == mark), None)


def _shown(value: Any) -> Any:
    if isinstance(value, int) or value is None:
        return value
    text = str(value)
    return text if len(text) <= MOST_CAPTION else f"{text[: MOST_CAPTION - 1]}…"


def _format_of(shard: str, there: set[str]) -> OutputFormat | None:
    for ending, found in formats_with_own_data().items():
        if shard + ending in there:
            return found
    return output_format("parquet") if metadata_name(shard) in there else None


class _Files:
    """Reads the files of shards where they are, no more of each than is asked for; a ``DataSource``."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        opened: AbstractContextManager[BinaryIO] = self._location.file_system.open(self._path(name), "rb")
        return opened

    def list(self, folder: str) -> Sequence[FolderEntry]:
        entries = self._location.file_system.ls(self._path(folder), detail=True)
        found = (
            FolderEntry(entry["name"].rpartition("/")[2], entry["size"] or 0, entry["type"] == "file")
            for entry in entries
        )
        return sorted(found, key=lambda entry: entry.name)

    def read_many(self, folder: str, entries: Sequence[FolderEntry]) -> Iterator[bytes]:
        for entry in entries:
            if entry.size > MOST_IMAGE_BYTES:
                yield b""
                continue
            with contextlib.ExitStack() as stack:
                yield stack.enter_context(self.open(f"{folder}/{entry.name}")).read(MOST_IMAGE_BYTES)

    def _path(self, name: str) -> str:
        return f"{self._location.path}/{name}"

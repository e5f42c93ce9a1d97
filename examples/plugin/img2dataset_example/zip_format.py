"""An output format: ``--output_format zip`` packs a shard into one zip, with KEY.jpg, KEY.json and KEY.txt.

Every system opens a zip with a double click, and its table of contents finds any image at once. Nothing is
compressed: images are already.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import BinaryIO

import pyarrow as pa

from img2dataset.formats.findings import BrokenFile, Findings
from img2dataset.formats.format import (
    DataSource,
    FinishedData,
    KeptSample,
    OutputFormat,
    SampleWriter,
    StoredImages,
    StoredSample,
)
from img2dataset.formats.metadata import ShardMetadata
from img2dataset.formats.sample_files import (
    SampleFile,
    SampleJson,
    check_endings,
    is_image,
    key_and_ending,
    may_be_empty,
    stored_sample,
)
from img2dataset.formats.settings import WriteSettings
from img2dataset.types import Sample


class Format(OutputFormat):
    name = "zip"
    ending = ".zip"

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return ZipWriter(settings, folder, shard + self.ending, metadata)

    def samples(
        self,
        source: DataSource,
        name: str,
        *,
        columns: Sequence[str],
        with_images: bool,
        findings: Findings,
    ) -> Iterator[StoredSample]:
        with source.open(name) as file:
            for _, files in groupby(sample_files(file, with_images), key=lambda found: found.key):
                yield stored_sample(files, findings, "zip")

    def images(self, path: str) -> StoredImages:
        return ZipImages(path)


class ZipWriter:
    """Packs samples in the order in which they are finished; the files of one follow each other."""

    def __init__(self, settings: WriteSettings, folder: str, name: str, metadata: ShardMetadata) -> None:
        self._name = name
        self._folder = folder
        self._json = SampleJson(metadata)
        self.row_failures = self._json.row_failures
        self._save_captions = settings.save_captions
        self._zip = zipfile.ZipFile(os.path.join(folder, name), "w")

    def write(self, sample: Sample) -> None:
        assert sample.image is not None
        self._zip.writestr(f"{sample.key}.{sample.extension}", bytes(sample.image))
        self._zip.writestr(f"{sample.key}.json", self._json.encode(sample))
        if self._save_captions:
            self._zip.writestr(f"{sample.key}.txt", (sample.caption or "").encode())

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        """Copies what stays of a finished shard, when its failed rows are retried."""
        endings: dict[str, set[str]] = {key: set() for key in samples}
        with finished.local_data(self._folder, self._name) as path, open(path, "rb") as file:
            try:
                for found in sample_files(file, with_images=True):
                    if found.key not in samples or found.contents is None:
                        continue
                    if not found.size and not may_be_empty(found.ending, samples[found.key]):
                        raise ValueError(f"{found.name} is empty")
                    endings[found.key].add(found.ending)
                    self._zip.writestr(found.name, found.contents)
            except BrokenFile as error:
                raise ValueError(f"{self._name} {error}") from error
        for key, kept in endings.items():
            check_endings(key, kept, self._save_captions)

    def finish(self, metadata: pa.Table) -> None:
        self._zip.close()

    def abandon(self) -> None:
        if self._zip.fp is not None:
            self._zip.fp.close()


# What zipfile raises at damaged files, beside its own error.
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, RuntimeError, ValueError)


class ZipImages:
    """The images of a zip on this machine; it is opened again in each process."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as opened:
                names = opened.namelist()
        except (*BROKEN, OSError) as error:
            raise BrokenFile(f"is broken: {error}") from error
        self._names = {key_and_ending(name)[0]: name for name in names if is_image(key_and_ending(name)[1])}

    def read(self, key: str) -> bytes | None:
        name = self._names.get(key)
        if name is None:
            return None
        try:
            with zipfile.ZipFile(self._path) as opened:
                return opened.read(name)
        except BROKEN as error:
            raise BrokenFile(f"is broken: {error}") from error


def sample_files(file: BinaryIO, with_images: bool) -> Iterator[SampleFile]:
    """The files of a zip in its order; each that is read is held against its checksum."""
    try:
        with zipfile.ZipFile(file) as opened:
            for entry in opened.infolist():
                wanted = with_images or not is_image(key_and_ending(entry.filename)[1])
                contents = opened.read(entry) if wanted else None
                yield SampleFile(entry.filename, entry.file_size, contents)
    except BROKEN as error:
        raise BrokenFile(f"is broken: {error}") from error

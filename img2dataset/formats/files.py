"""The files format: one folder a shard, with KEY.jpg, KEY.json and KEY.txt for each sample."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from img2dataset.formats.findings import Findings
from img2dataset.formats.format import (
    DataSource,
    FinishedData,
    FolderEntry,
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
from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.settings import WriteSettings


class Format(OutputFormat):
    """The files are there for people to look at; for many rows the other formats are faster to read."""

    name = "files"
    ending = ""

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return FilesWriter(settings, folder, shard, metadata)

    def samples(
        self,
        source: DataSource,
        name: str,
        *,
        columns: Sequence[str],
        with_images: bool,
        findings: Findings,
    ) -> Iterator[StoredSample]:
        entries: list[FolderEntry] = []
        for entry in source.list(name):
            if entry.is_file and "." in entry.name:
                entries.append(entry)
            else:
                findings.add(f"{name} has something that belongs to no sample", entry.name)

        def is_read(entry: FolderEntry) -> bool:
            return with_images if is_image(key_and_ending(entry.name)[1]) else bool(columns)

        contents = source.read_many(name, [entry for entry in entries if is_read(entry)])
        found = (
            SampleFile(entry.name, entry.size, next(contents) if is_read(entry) else None)
            for entry in entries
        )
        for _, group in groupby(found, key=lambda file: file.key):
            yield stored_sample(group, findings, "folder")

    def images(self, path: str) -> StoredImages:
        return FolderImages(path)


class FolderImages:
    """The images of a folder on this machine."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        names = (name for name in os.listdir(path) if is_image(key_and_ending(name)[1]))
        self._names = {key_and_ending(name)[0]: name for name in names}

    def read(self, key: str) -> bytes | None:
        name = self._names.get(key)
        return None if name is None else (self._path / name).read_bytes()


class FilesWriter:
    """Writes each sample's files as soon as it is finished."""

    def __init__(self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata) -> None:
        self._json = SampleJson(metadata)
        self.row_failures = self._json.row_failures
        self._save_captions = settings.save_captions
        self._folder = os.path.join(folder, shard)
        os.mkdir(self._folder)

    def write(self, sample: Sample) -> None:
        if sample.image is None:
            raise ValueError(f"sample {sample.key} has no image to write")
        path = f"{self._folder}/{sample.key}."
        _write_file(path + sample.extension, sample.image)
        if self._save_captions:
            _write_file(path + "txt", (sample.caption or "").encode())
        _write_file(path + "json", self._json.encode(sample))

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        """Nothing is copied: the files stay where they are, and the commit moves the new ones to them.

        Those of an unfinished shard, which do not stand in the output folder yet, are linked.
        """
        endings: dict[str, set[str]] = {key: set() for key in samples}
        for name, size in finished.file_sizes().items():
            key, ending = key_and_ending(name)
            if key in endings:
                if not size and not may_be_empty(ending, samples[key]):
                    raise ValueError(f"{name} is empty")
                endings[key].add(ending)
                if not finished.in_place:
                    finished.take_file(name, os.path.join(self._folder, name))
        for key, found in endings.items():
            check_endings(key, found, self._save_captions)

    def finish(self, metadata: pa.Table) -> None:
        pass

    def abandon(self) -> None:
        pass


def _write_file(path: str, contents: bytes | bytearray | memoryview) -> None:
    with open(path, "xb") as file:
        file.write(contents)

"""The webdataset format: one tar a shard, with KEY.jpg, KEY.json and KEY.txt for each sample."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, BinaryIO

from img2dataset.formats.copying import copy_ranges
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
from img2dataset.formats.stored_images import ImagesInFile, told_as_broken
from img2dataset.formats.tar import archive_end, member_header, members, padding
from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.settings import WriteSettings

# One system call for some fifty samples of 20 KB.
_BUFFER_BYTES = 1 << 20


class Format(OutputFormat):
    """Its tar reader is the project's own, which tells a damaged archive from a shorter one."""

    name = "webdataset"
    ending = ".tar"

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return WebdatasetWriter(settings, folder, shard + self.ending, metadata)

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
            for _, group in groupby(_sample_files(file, with_images), key=lambda found: found.key):
                yield stored_sample(group, findings, "tar")

    def images(self, path: str) -> StoredImages:
        with open(path, "rb") as file, told_as_broken():
            return ImagesInFile(
                path,
                {
                    key_and_ending(member.name)[0]: (member.contents, member.size)
                    for member in members(file)
                    if is_image(key_and_ending(member.name)[1])
                },
            )


class WebdatasetWriter:
    """Packs samples in the order in which they are finished.

    The members of a sample follow each other, in alphabetical order of their endings, as the webdataset
    library's own writer has them. Images are written from where they lie, not copied.
    """

    def __init__(self, settings: WriteSettings, folder: str, name: str, metadata: ShardMetadata) -> None:
        self._name = name
        self._temporary_folder = folder
        self._json = SampleJson(metadata)
        self.row_failures = self._json.row_failures
        self._save_captions = settings.save_captions
        self._file = open(os.path.join(folder, name), "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115

    def write(self, sample: Sample) -> None:
        if sample.image is None:
            raise ValueError(f"sample {sample.key} has no image to write")
        image = memoryview(sample.image)
        files: list[tuple[str, bytes | memoryview, int]] = [(sample.extension, image, image.nbytes)]
        json_bytes = self._json.encode(sample)
        files.append(("json", json_bytes, len(json_bytes)))
        if self._save_captions:
            caption = (sample.caption or "").encode()
            files.append(("txt", caption, len(caption)))
        files.sort(key=_ending)
        write = self._file.write
        for extension, contents, size in files:
            write(member_header(f"{sample.key}.{extension}".encode(), size))
            write(contents)
            write(padding(size))

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        with finished.local_data(self._temporary_folder, self._name) as path, open(path, "rb") as old:
            copy_ranges(old, self._file, sample_ranges(old, samples, self._save_captions))

    def finish(self, metadata: pa.Table) -> None:
        self._file.write(archive_end(self._file.tell()))
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # closing also writes what is left in the buffer
            self._file.close()


def _ending(file: tuple[str, bytes | memoryview, int]) -> str:
    return file[0]


def sample_ranges(
    file: BinaryIO, samples: Mapping[str, KeptSample], with_captions: bool
) -> list[tuple[int, int]]:
    """The ranges of a tar that hold these samples, headers and all, in its order, neighbours as one.

    Args:
        file: the open tar.
        samples: those that are wanted, by key.
        with_captions: each sample has a caption beside image and metadata.

    Raises:
        ValueError: the tar is not whole, or does not hold each of these samples once.
    """
    ranges: list[tuple[int, int]] = []
    endings: dict[str, set[str]] = {key: set() for key in samples}
    for member in members(file):
        key, ending = key_and_ending(member.name)
        found = endings.get(key)
        if found is None:
            continue
        if ending in found:
            raise ValueError(f"it holds {member.name} twice")
        if not member.size and not may_be_empty(ending, samples[key]):
            raise ValueError(f"{member.name} is empty")
        found.add(ending)
        if ranges and ranges[-1][1] == member.start:
            ranges[-1] = (ranges[-1][0], member.end)
        else:
            ranges.append((member.start, member.end))
    for key, found in endings.items():
        check_endings(key, found, with_captions)
    return ranges


def _sample_files(file: BinaryIO, with_images: bool) -> Iterator[SampleFile]:
    """The members of a tar to its end mark, in order; an image's contents only if they are wanted.

    Raises:
        BrokenFile: the tar is not whole.
    """
    end = 0
    with told_as_broken():
        for member in members(file):
            if member.start != end:
                raise BrokenFile(f"has something that is no regular file at byte {end:,}")
            contents = None
            if with_images or not is_image(key_and_ending(member.name)[1]):
                file.seek(member.contents)
                contents = file.read(member.size)
            yield SampleFile(member.name, member.size, contents)
            end = member.end
        _check_end(file, end)


def _check_end(file: BinaryIO, end: int) -> None:
    """Behind the last member: the end mark, which has been read, and nothing but zeros after it."""
    file.seek(end)
    blocks: Iterable[bytes] = iter(lambda: file.read(1 << 20), b"")
    if any(map(any, blocks)):
        raise BrokenFile("has something behind its end mark, or that is no regular file")

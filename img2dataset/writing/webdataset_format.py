"""The webdataset format: one tar a shard, with KEY.jpg, KEY.json and KEY.txt for each sample.

In: successful samples. Out: ``00000.tar``. Called by ``ShardWriter`` through ``SampleWriter``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from img2dataset.types import Sample
from img2dataset.writing.finished_shard import FinishedShard, KeptSample
from img2dataset.writing.metadata import ShardMetadata
from img2dataset.writing.sample_json import SampleJson
from img2dataset.writing.settings import WriteSettings
from img2dataset.writing.stretches import copy_stretches
from img2dataset.writing.tar import archive_end, member_header, padding
from img2dataset.writing.tar_reading import sample_stretches

if TYPE_CHECKING:
    import pyarrow as pa

# One system call for some fifty samples of 20 KB.
_BUFFER_BYTES = 1 << 20


class WebdatasetWriter:
    """Packs samples in the order in which they are finished.

    The members of a sample follow each other, in alphabetical order of their endings, as the webdataset
    library's own writer has them. Images are written from where they lie, not copied.
    """

    holds_metadata = False

    def __init__(self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata) -> None:
        self.output_name = f"{shard}.tar"
        self._temporary_folder = folder
        self._json = SampleJson(metadata)
        self.row_failures = self._json.row_failures
        self._save_captions = settings.save_captions
        self._file = open(os.path.join(folder, self.output_name), "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115

    def write(self, sample: Sample) -> None:
        if sample.image is None:
            raise ValueError(f"sample {sample.key} has no image to write")
        image = memoryview(sample.image)
        members: list[tuple[str, bytes | memoryview, int]] = [(sample.extension, image, image.nbytes)]
        json_bytes = self._json.encode(sample)
        members.append(("json", json_bytes, len(json_bytes)))
        if self._save_captions:
            caption = (sample.caption or "").encode()
            members.append(("txt", caption, len(caption)))
        members.sort(key=_ending)
        write = self._file.write
        for extension, contents, size in members:
            write(member_header(f"{sample.key}.{extension}".encode(), size))
            write(contents)
            write(padding(size))

    def keep(self, finished: FinishedShard, samples: Mapping[str, KeptSample]) -> None:
        with finished.local_data(self._temporary_folder, self.output_name) as path, open(path, "rb") as old:
            stretches = sample_stretches(old.fileno(), samples, self._save_captions)
            copy_stretches(old, self._file, stretches)

    def finish(self, metadata: pa.Table) -> None:
        self._file.write(archive_end(self._file.tell()))
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # closing also writes what is left in the buffer
            self._file.close()


def _ending(member: tuple[str, bytes | memoryview, int]) -> str:
    return member[0]

"""The files format: one folder a shard, with KEY.jpg, KEY.json and KEY.txt for each sample.

In: successful samples. Out: the folder ``00000``. Called by ``ShardWriter`` through ``SampleWriter``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from img2dataset.types import Sample
from img2dataset.writing.metadata import ShardMetadata
from img2dataset.writing.sample_json import SampleJson
from img2dataset.writing.settings import WriteSettings

if TYPE_CHECKING:
    import pyarrow as pa


class FilesWriter:
    """Writes each sample's files as soon as it is finished."""

    holds_metadata = False

    def __init__(self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata) -> None:
        self.output_name = shard
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

    def finish(self, metadata: pa.Table) -> None:
        pass

    def abandon(self) -> None:
        pass


def _write_file(path: str, contents: bytes | bytearray | memoryview) -> None:
    with open(path, "xb") as file:
        file.write(contents)

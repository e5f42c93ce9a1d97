"""The files format: one folder a shard, with KEY.jpg, KEY.json and KEY.txt for each sample.

In: successful samples. Out: the folder ``00000``. Called by ``ShardWriter`` through ``SampleWriter``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from img2dataset.types import Sample
from img2dataset.writing.finished_shard import FinishedShard, KeptSample
from img2dataset.writing.metadata import ShardMetadata
from img2dataset.writing.sample_json import SampleJson
from img2dataset.writing.settings import WriteSettings
from img2dataset.writing.tar_reading import check_sample, may_be_empty

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

    def keep(self, finished: FinishedShard, samples: Mapping[str, KeptSample]) -> None:
        """Nothing is copied: the files stay where they are, and the commit moves the new ones to them.

        Those of an unfinished shard, which has no place yet, are linked.
        """
        endings: dict[str, set[str]] = {key: set() for key in samples}
        for name, size in finished.file_sizes().items():
            key, _, ending = name.partition(".")
            if key in endings:
                if not size and not may_be_empty(ending, samples[key]):
                    raise ValueError(f"{name} is empty")
                endings[key].add(ending)
                if not finished.in_place:
                    finished.take_file(name, os.path.join(self._folder, name))
        for key, found in endings.items():
            check_sample(key, found, self._save_captions)

    def finish(self, metadata: pa.Table) -> None:
        pass

    def abandon(self) -> None:
        pass


def _write_file(path: str, contents: bytes | bytearray | memoryview) -> None:
    with open(path, "xb") as file:
        file.write(contents)

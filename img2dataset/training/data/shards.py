"""Finished outputs read back: a folder that ``download`` wrote comes in, training samples go out.

``ShardDataset`` is map-style, for folders on this machine, in every format. ``ShardStream`` is an
``IterableDataset``, for any file system of fsspec: shards are divided among ranks and workers and read
forwards. Both read the metadata files for the captions and filters, and only shards that are done.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from img2dataset.errors import InputError
from img2dataset.failures import FILE_WITHOUT_IMAGE
from img2dataset.training.data.shard_folder import FinishedShards
from img2dataset.training.data.shard_stream import StreamOfShards
from img2dataset.training.data.stored_sample import (
    ImageKind,
    ReadSample,
    check_image_kind,
    finished_sample,
)
from img2dataset.training.load.batch_memory import one_block
from img2dataset.training.load.finishing import (
    CaptionTransformLike,
    ImageTransformLike,
    SampleTransforms,
    TokenizerLike,
)
from img2dataset.training.load.sources import ImageLoadError
from img2dataset.training.randomness import Epoch
from img2dataset.training.requirements import require

torch = require("torch", "a dataset for PyTorch")

# Shards that a process keeps open: where the 10 000 images of one lie takes about 2 MB.
OPEN_SHARDS = 16


class ShardDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """The successful samples of a finished output, by number.

    Args:
        folder: what was the ``output_folder``; on this machine.
        format: "files", "webdataset", "parquet", "tfrecord" or a package's own; None: told from the files.
        where: a condition on the metadata, such as "width >= 512 and height >= 512 and caption is not None".
        columns: metadata columns to keep in memory and in samples; None: all.
        image: without ``img_transform``: "pil", or "bytes" of the file as it is stored.
        img_transform, caption_transform, tokenizer, seed: as in ``ImageTextDataset``.

    A sample is a dictionary: ``img``, ``caption``, ``tokens`` if there is a tokenizer, ``index``, and
    ``metadata`` (the columns, ``key`` among them). In the order of the keys.

    Raises:
        InputError: no finished shard is there, or its files are not what they should be.
        OptionError: a wrong condition or value.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        format: str | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        image: ImageKind = "pil",
        img_transform: ImageTransformLike = None,
        caption_transform: CaptionTransformLike = None,
        tokenizer: TokenizerLike = None,
        seed: int | None = None,
    ):
        check_image_kind(image, img_transform)
        import pyarrow as pa

        self._shards = FinishedShards(str(Path(folder).expanduser()), format)
        tables = []
        for number, name in enumerate(self._shards.names):
            table = self._shards.metadata(name, where, columns)
            tables.append(table.append_column("__shard__", pa.array([number] * table.num_rows, pa.int32())))
        self._rows = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        self.image = image
        self.transforms = SampleTransforms(img_transform, caption_transform, tokenizer, seed is not None)
        self.seed = seed
        self._epoch = Epoch()
        self._open: OrderedDict[str, Any] = OrderedDict()
        self._process_id = os.getpid()

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample number ``index``.

        Raises:
            ImageLoadError: its image is missing in the shard, or cannot be decoded.
            InputError: the shard is broken where its image lies.
        """
        index = range(len(self))[index]
        metadata = {name: self._rows.column(name)[index].as_py() for name in self._rows.column_names}
        shard = self._shards.names[metadata.pop("__shard__")]
        body = self._shards.image(shard, self._images(shard), metadata["key"])
        if body is None:
            raise ImageLoadError.of(f"{shard}:{metadata['key']}", FILE_WITHOUT_IMAGE)
        sample = ReadSample(body, metadata, index, metadata["key"])
        return finished_sample(sample, self.image, self.transforms, self.seed, self._epoch.get())

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of several numbers."""
        with one_block(len(indices)):
            return [self[index] for index in indices]

    def metadata(self) -> Any:
        """The metadata of all samples: a ``pyarrow.Table``, in order."""
        return self._rows.drop_columns(["__shard__"])

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is, for random choices; all workers see it."""
        self._epoch.set(epoch)

    def _images(self, shard: str) -> Any:
        if self._process_id != os.getpid():
            self._open, self._process_id = OrderedDict(), os.getpid()
        if shard in self._open:
            self._open.move_to_end(shard)
        else:
            self._open[shard] = self._shards.images(shard)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        return self._open[shard]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}


class ShardStream(StreamOfShards):
    """The successful samples of a finished output, shard by shard, from any file system.

    Shards are divided among all workers of all ranks, so ranks may get different numbers of samples.

    Args:
        folder: what was the ``output_folder``; any fsspec path.
        shuffle_shards: in an order by seed and epoch.
        shuffle_buffer: samples that are held to be given out in a random order; 0: in the order of the shard.
        rank, world_size: None: as PyTorch's process group says, or alone.
        others: as in ``ShardDataset``.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        format: str | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        image: ImageKind = "pil",
        img_transform: ImageTransformLike = None,
        caption_transform: CaptionTransformLike = None,
        tokenizer: TokenizerLike = None,
        shuffle_shards: bool = False,
        shuffle_buffer: int = 0,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ):
        check_image_kind(image, img_transform)
        transforms = SampleTransforms(img_transform, caption_transform, tokenizer, seeded=True)
        super().__init__(image, transforms, shuffle_shards, shuffle_buffer, seed, rank, world_size)
        self._shards = FinishedShards(os.fspath(folder), format)
        self.where = where
        self.columns = columns

    def _shard_names(self) -> Sequence[str]:
        return self._shards.names

    def _read(self, number: int, name: str) -> Iterator[ReadSample]:
        wanted = {
            row["key"]: row for row in self._shards.metadata(name, self.where, self.columns).to_pylist()
        }
        for key, body in self._shards.image_pairs(name, wanted):
            metadata = wanted.pop(key, None)
            if metadata is not None:
                yield ReadSample(body, metadata, int(key), key)
        if wanted:
            raise InputError(
                f"the shard {name} has no image for {len(wanted)} of its keys, {min(wanted)} the first"
            )

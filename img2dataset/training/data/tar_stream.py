"""Tars that other tools have packed, as a stream for a training loop: nothing beside them is needed.

In: paths on any file system. Out: samples, with what their members say. For what ``download`` wrote,
``ShardStream`` knows more: filters, and what is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from img2dataset.errors import OptionError
from img2dataset.training.data.shard_stream import StreamOfShards
from img2dataset.training.data.stored_sample import ImageKind, ReadSample, check_image_kind
from img2dataset.training.data.tar_paths import tar_paths
from img2dataset.training.data.tar_samples import KEY_ENDS, KeyEnd, TarReader
from img2dataset.training.load.finishing import (
    CaptionTransformLike,
    ImageTransformLike,
    SampleTransforms,
    TokenizerLike,
)

_SAMPLES_A_TAR = 1 << 32


class TarStream(StreamOfShards):
    """The samples of tars in webdataset's layout, tar by tar, from any file system.

    A sample is the members beside each other that are called the same up to a dot. Its image has the ending
    of an image file (jpg, png, webp …), its caption is the ``txt``, else ``caption`` in the ``json``, whose
    object is its metadata. Hidden members, members without an ending, and what webdataset keeps for notes
    (``__name__``) are left out. Tars may be gzipped.

    Args:
        tars: a tar, a folder of them, a pattern with ``*``, ``?`` or ``{000..123}``, or a list of these; any
            fsspec paths, on file systems that need not be able to seek.
        key_end: the dot where keys end: "first_dot" ("a.b.jpg" is the file "b.jpg" of the sample "a", as
            webdataset has it) or "last_dot" (the file "jpg" of the sample "a.b").
        image_ending: of the image, where samples have several or an unusual one: "b.jpg".
        others: as in ``ShardStream``; ranks may get different numbers of samples.

    A sample is a dictionary: ``img``, ``caption``, ``tokens`` if there is a tokenizer, ``index`` (its own
    number, the same in every epoch), ``metadata`` (with ``key`` and ``tar``), and ``files``: the contents of
    its other members, by ending.

    Raises:
        InputError: there is no tar; while reading: one is cut short, damaged, or has no whole samples.
        OptionError: a wrong value.
    """

    def __init__(
        self,
        tars: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        key_end: KeyEnd = "first_dot",
        image_ending: str | None = None,
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
        if key_end not in KEY_ENDS:
            raise OptionError(f"key_end is {key_end!r}; it takes {' or '.join(map(repr, KEY_ENDS))}")
        transforms = SampleTransforms(img_transform, caption_transform, tokenizer, seeded=True)
        super().__init__(image, transforms, shuffle_shards, shuffle_buffer, seed, rank, world_size)
        ending = None if image_ending is None else image_ending.lower().removeprefix(".")
        self._reader = TarReader(key_end, ending)
        self._tars = tar_paths(tars)

    def _shard_names(self) -> Sequence[str]:
        return self._tars

    def _read(self, number: int, name: str) -> Iterator[ReadSample]:
        for position, sample in enumerate(self._reader.samples(name)):
            metadata = sample.metadata | {"key": sample.key, "tar": name}
            if sample.caption is not None:
                metadata["caption"] = sample.caption
            index = number * _SAMPLES_A_TAR + position
            yield ReadSample(sample.image, metadata, index, f"{name}:{sample.key}", {"files": sample.files})

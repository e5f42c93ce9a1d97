"""From a list of image URLs, or a finished dataset, to the batches of a training loop.

Nothing here is imported by a download, and every name is loaded when it is first used: PyTorch is needed by
the datasets and samplers only (in a clone: ``pip install ".[training]"``), not by ``load_image`` or
``stream``.

Reading order: ``load`` (one source string → one image, transformed), ``data`` (lists and finished outputs →
samples), ``batch`` (samples → batches), ``streaming`` (train while downloading). ``data`` and ``streaming``
work on ``batch`` and ``load``, and do not know each other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from img2dataset.training.batch.buckets import SDXL_SIZES, BucketFit, Buckets, bucket_sizes
    from img2dataset.training.batch.collation import Collate, collate
    from img2dataset.training.batch.device_dataset import DeviceDataset
    from img2dataset.training.batch.features import FeatureDataset, precompute
    from img2dataset.training.batch.sampling import BucketSampler, ShuffleSampler
    from img2dataset.training.data.captioning import Captioned, caption_folder
    from img2dataset.training.data.concat_dataset import ConcatDataset
    from img2dataset.training.data.datasets import ImageTextDataset
    from img2dataset.training.data.lists import open_list
    from img2dataset.training.data.metadata_dataset import MetadataDataset
    from img2dataset.training.data.preview import preview
    from img2dataset.training.data.shards import ShardDataset, ShardStream
    from img2dataset.training.data.tar_stream import TarStream
    from img2dataset.training.load.cache import CacheStats, ImageCache
    from img2dataset.training.load.cache_command import cache_command
    from img2dataset.training.load.captions import (
        AddText,
        CaptionTransform,
        CaptionTransforms,
        DropCaption,
        DropParts,
        ShuffleParts,
    )
    from img2dataset.training.load.images import ImageTransform
    from img2dataset.training.load.loading import ImageLoader, load_image
    from img2dataset.training.load.operators import Operator, Pipeline
    from img2dataset.training.load.sources import ImageLoadError
    from img2dataset.training.load.tokenizing import CaptionTokenizer
    from img2dataset.training.streaming.engine import StreamedSample
    from img2dataset.training.streaming.stream import stream
    from img2dataset.training.streaming.url_stream import UrlStream

_HOMES = {
    "AddText": "load.captions",
    "BucketFit": "batch.buckets",
    "BucketSampler": "batch.sampling",
    "Buckets": "batch.buckets",
    "CacheStats": "load.cache",
    "CaptionTokenizer": "load.tokenizing",
    "CaptionTransform": "load.captions",
    "CaptionTransforms": "load.captions",
    "Captioned": "data.captioning",
    "Collate": "batch.collation",
    "ConcatDataset": "data.concat_dataset",
    "DeviceDataset": "batch.device_dataset",
    "DropCaption": "load.captions",
    "DropParts": "load.captions",
    "FeatureDataset": "batch.features",
    "ImageCache": "load.cache",
    "ImageLoadError": "load.sources",
    "ImageLoader": "load.loading",
    "ImageTextDataset": "data.datasets",
    "ImageTransform": "load.images",
    "MetadataDataset": "data.metadata_dataset",
    "Operator": "load.operators",
    "Pipeline": "load.operators",
    "SDXL_SIZES": "batch.buckets",
    "ShardDataset": "data.shards",
    "ShardStream": "data.shards",
    "ShuffleParts": "load.captions",
    "ShuffleSampler": "batch.sampling",
    "StreamedSample": "streaming.engine",
    "TarStream": "data.tar_stream",
    "UrlStream": "streaming.url_stream",
    "bucket_sizes": "batch.buckets",
    "cache_command": "load.cache_command",
    "caption_folder": "data.captioning",
    "collate": "batch.collation",
    "load_image": "load.loading",
    "open_list": "data.lists",
    "precompute": "batch.features",
    "preview": "data.preview",
    "stream": "streaming.stream",
}

__all__ = [
    "SDXL_SIZES",
    "AddText",
    "BucketFit",
    "BucketSampler",
    "Buckets",
    "CacheStats",
    "CaptionTokenizer",
    "CaptionTransform",
    "CaptionTransforms",
    "Captioned",
    "Collate",
    "ConcatDataset",
    "DeviceDataset",
    "DropCaption",
    "DropParts",
    "FeatureDataset",
    "ImageCache",
    "ImageLoadError",
    "ImageLoader",
    "ImageTextDataset",
    "ImageTransform",
    "MetadataDataset",
    "Operator",
    "Pipeline",
    "ShardDataset",
    "ShardStream",
    "ShuffleParts",
    "ShuffleSampler",
    "StreamedSample",
    "TarStream",
    "UrlStream",
    "bucket_sizes",
    "cache_command",
    "caption_folder",
    "collate",
    "load_image",
    "open_list",
    "precompute",
    "preview",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

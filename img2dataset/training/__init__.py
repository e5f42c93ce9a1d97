"""From a list of image URLs, or a finished dataset, to the batches of a training loop.

Nothing here is imported by a download, and every name is loaded when it is first used: PyTorch is needed by
the datasets and samplers only (in a clone: ``pip install ".[training]"``), not by ``load_image`` or
``stream``.

Reading order: ``loading`` (one source string → one image) on ``sources``, ``cache`` and
``downloading``; ``lists`` (any
list format → rows) and ``datasets`` (rows → samples) with ``captions``, ``images``, ``tokenizing``;
``buckets``, ``sampling``, ``collation`` (samples → batches); ``features`` (computed once); ``shards``
(finished outputs read back); ``streaming`` and ``url_stream`` (train while downloading); ``preview``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from img2dataset.training.buckets import SDXL_SIZES, BucketFit, Buckets, bucket_sizes
    from img2dataset.training.cache import CacheStats, ImageCache
    from img2dataset.training.cache_command import cache_command
    from img2dataset.training.captions import (
        AddText,
        CaptionTransform,
        CaptionTransforms,
        DropCaption,
        DropParts,
        ShuffleParts,
    )
    from img2dataset.training.collation import Collate, collate
    from img2dataset.training.datasets import ImageTextDataset
    from img2dataset.training.features import FeatureDataset, precompute
    from img2dataset.training.images import ImageTransform
    from img2dataset.training.lists import open_list
    from img2dataset.training.loading import ImageLoader, load_image
    from img2dataset.training.metadata_dataset import MetadataDataset
    from img2dataset.training.operators import Operator, Pipeline
    from img2dataset.training.preview import preview
    from img2dataset.training.sampling import BucketSampler, ShuffleSampler
    from img2dataset.training.shards import ShardDataset, ShardStream
    from img2dataset.training.sources import ImageLoadError
    from img2dataset.training.stream_engine import StreamedSample
    from img2dataset.training.streaming import stream
    from img2dataset.training.tokenizing import CaptionTokenizer
    from img2dataset.training.url_stream import UrlStream

_HOMES = {
    "AddText": "captions",
    "BucketFit": "buckets",
    "BucketSampler": "sampling",
    "Buckets": "buckets",
    "CacheStats": "cache",
    "CaptionTokenizer": "tokenizing",
    "CaptionTransform": "captions",
    "CaptionTransforms": "captions",
    "Collate": "collation",
    "DropCaption": "captions",
    "DropParts": "captions",
    "FeatureDataset": "features",
    "ImageCache": "cache",
    "ImageLoadError": "sources",
    "ImageLoader": "loading",
    "ImageTextDataset": "datasets",
    "ImageTransform": "images",
    "MetadataDataset": "metadata_dataset",
    "Operator": "operators",
    "Pipeline": "operators",
    "SDXL_SIZES": "buckets",
    "ShardDataset": "shards",
    "ShardStream": "shards",
    "ShuffleParts": "captions",
    "ShuffleSampler": "sampling",
    "StreamedSample": "stream_engine",
    "UrlStream": "url_stream",
    "bucket_sizes": "buckets",
    "cache_command": "cache_command",
    "collate": "collation",
    "load_image": "loading",
    "open_list": "lists",
    "precompute": "features",
    "preview": "preview",
    "stream": "streaming",
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
    "Collate",
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
    "UrlStream",
    "bucket_sizes",
    "cache_command",
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
    # Kept, because ``preview`` is also the name of its module, which importing it puts in its place.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

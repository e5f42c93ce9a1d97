"""What the features of a row depend on, as a key: a dataset and a version come in, a key a row goes out.

Called by ``features``. Features of another row, image, transform or version have another key.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.batch.identity import identity
from img2dataset.training.load.sources import ImageLoadError, is_url, located

# Of what a key is made of: features of another one are computed again.
FORMAT = "features 3"


def feature_keys(dataset: Any, version: str) -> list[str]:
    """The key of each sample: a hash of its row, its files' sizes and times, and what the module says.

    Raises:
        OptionError: as ``identity``; or the dataset is of another kind.
    """
    if not all(hasattr(dataset, name) for name in ("rows", "transforms", "sources")):
        raise OptionError(
            f"features are of an ImageTextDataset, not of a {type(dataset).__name__}, whose samples cannot be"
            " known again; give its datasets, each for itself, and join what FeatureDataset makes of them"
        )
    transforms = dataset.transforms
    made_with = {
        "img_transform": transforms.img_transform,
        "caption_transform": transforms.caption_transform,
        "tokenizer": transforms.tokenizer,
        "model_transform": getattr(dataset, "model_transform", None),
        "buckets": dataset.buckets,
        "captions": dataset.captions,
        "column_map": dict(dataset.columns),
        "mode": dataset.loader.mode,
        "seed": dataset.seed,
        "images_alike": getattr(dataset, "images_alike", True),
    }
    described = [f"{name}: {identity(value, name)}" for name, value in made_with.items()]
    common = "\n".join([FORMAT, version, *described])
    return [_key(common, dataset, index) for index in range(len(dataset))]


def _key(common: str, dataset: Any, index: int) -> str:
    digest = hashlib.sha256(common.encode())
    row = dataset.rows.row(index)
    digest.update(json.dumps(row, sort_keys=True, default=_row_value).encode())
    for source in map(located, dataset.sources(index)):
        source = os.fspath(source) if isinstance(source, os.PathLike) else source
        if (
            isinstance(source, str)
            and not is_url(source)
            and "://" not in source[:20]
            and source[:5] != "data:"
        ):
            try:
                status = dataset.loader.sources.path_of(source).stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            except (OSError, ValueError, ImageLoadError):
                pass  # a file that is not there, or may not be read, fails when it is loaded
    return digest.hexdigest()[:40]


def _row_value(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return hashlib.sha256(value).hexdigest()
    if hasattr(value, "tobytes"):
        shape = f"{getattr(value, 'mode', '')} {getattr(value, 'size', '')} {getattr(value, 'shape', '')}"
        return hashlib.sha256(shape.encode() + value.tobytes()).hexdigest()
    return repr(value)

"""A sample of a folder's images, chosen by a seed: finished shards come in, images with their rows go out.

From few shards, so that a folder of a million is as quick as one of ten. On this machine the rows are chosen
all over a shard; from a store, only the beginning of each of these shards is read.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import one_line
from img2dataset.formats import OutputFormat
from img2dataset.formats.findings import BrokenFile, Findings, UnreadableShard
from img2dataset.formats.forward_files import ForwardFiles
from img2dataset.reporting.report.folder import SEED, Folder, batches_of, chosen, schema_of
from img2dataset.storage.folders import side_by_side
from img2dataset.types import SUCCESS

SAMPLES, SHARDS = 64, 8
# Of so many more where these have not enough images.
MORE_SHARDS = 16
# Larger images are not shown: this is what is in memory of one, and a file of a store is read to its end.
MOST_IMAGE_BYTES = 12 << 20
_TIMES_LOOKED = 20


@dataclass(frozen=True, slots=True)
class SampleImage:
    """One image as it is stored, and its row of the metadata."""

    key: str
    image: bytes
    row: dict[str, Any]


def sample_images(
    folder: Folder, shards: Sequence[str], on_problem: Callable[[str], None], count: int = SAMPLES
) -> list[SampleImage]:
    """At most ``count`` images, by key.

    Args:
        folder: where they lie.
        shards: those that have metadata.
        on_problem: told what cannot be read.
    """
    data_format = folder.format
    if data_format is None:
        return []
    keys = _keys_of_each(folder, chosen(shards, SHARDS))
    if sum(map(len, keys.values())) < count:
        keys |= _keys_of_each(folder, chosen([shard for shard in shards if shard not in keys], MORE_SHARDS))
    left = {shard: len(each) for shard, each in keys.items()}
    shares = equal_shares(left, count)
    found: dict[str, list[SampleImage]] = {}

    def of_shard(shard: str) -> list[SampleImage]:
        try:
            return _of_shard(folder, data_format, shard, keys[shard], shares[shard])
        except Exception as error:  # its data are not whole, or are replaced meanwhile
            on_problem(f"no images can be shown of shard {shard}: {_reason(error)}")
            return []

    # Once, and again for what a shard that is broken, or has images that are too large, lacks.
    while grown := [shard for shard in keys if shares[shard] > len(found.get(shard, ()))]:
        found.update(zip(grown, side_by_side(folder.location, of_shard, grown), strict=True))
        left |= {shard: len(found[shard]) for shard in grown if len(found[shard]) < shares[shard]}
        shares = equal_shares(left, count)
    return sorted((sample for samples in found.values() for sample in samples), key=lambda sample: sample.key)


def equal_shares(images: Mapping[str, int], count: int) -> dict[str, int]:
    """How many images to take of each shard, of these that it has: as many of each, or all that it has."""
    shares = {}
    for number, shard in enumerate(sorted(images, key=images.__getitem__)):
        shares[shard] = min(images[shard], -(-count // (len(images) - number)))
        count -= shares[shard]
    return shares


def _keys_of_each(folder: Folder, shards: Sequence[str]) -> dict[str, list[str]]:
    def keys_of(shard: str) -> list[str]:
        # What cannot be read of the metadata has been told when they were counted.
        with contextlib.suppress(Exception):
            return _keys_of(folder, shard)
        return []

    return dict(zip(shards, side_by_side(folder.location, keys_of, shards), strict=True))


def _of_shard(
    folder: Folder, data_format: OutputFormat, shard: str, keys: Sequence[str], count: int
) -> list[SampleImage]:
    name = data_format.data_name(shard)
    if not keys or name is None or (name not in folder.names and not data_format.is_folder):
        return []
    if data_format.holds_metadata and data_format.image_column(schema_of(folder, shard)) is None:
        return []  # metadata alone, of a folder format without a single success or copied so
    order = random.Random(f"{SEED} {shard}").sample(keys, min(len(keys), count * _TIMES_LOOKED))
    if folder.location.is_local:
        images = _at_random(data_format, f"{folder.location.path}/{name}", order, count)
    else:
        images = _at_beginning(folder, data_format, name, order, count)
    rows = _rows_of(folder, shard, data_format, set(images))
    return [SampleImage(key, images[key], rows.get(key, {})) for key in sorted(images)]


def _keys_of(folder: Folder, shard: str) -> list[str]:
    """Of the images of a shard, in the order of its rows."""
    return [
        key
        for batch in batches_of(folder, shard, ("key", "status"))
        for key, status in zip(batch["key"].to_pylist(), batch["status"].to_pylist(), strict=True)
        if status == SUCCESS
    ]


def _at_random(data_format: OutputFormat, path: str, order: Sequence[str], count: int) -> dict[str, bytes]:
    images = data_format.images(path)
    found: dict[str, bytes] = {}
    for key in order:
        image = images.read(key)
        if image and len(image) <= MOST_IMAGE_BYTES:
            found[key] = image
            if len(found) == count:
                break
    return found


def _at_beginning(
    folder: Folder, data_format: OutputFormat, name: str, order: Sequence[str], count: int
) -> dict[str, bytes]:
    source = ForwardFiles(folder.location.file_system, folder.location.path, set(order[:count]))
    found: dict[str, bytes] = {}
    samples = data_format.samples(source, name, columns=(), with_images=True, findings=Findings())
    with contextlib.closing(samples) as read:  # type: ignore[type-var]
        for looked, sample in enumerate(read, 1):
            if sample.image and len(sample.image) <= MOST_IMAGE_BYTES:
                found[sample.key] = bytes(sample.image)
            if len(found) == count or looked == count * _TIMES_LOOKED:
                break
    return found


def _rows_of(
    folder: Folder, shard: str, data_format: OutputFormat, keys: set[str]
) -> dict[str, dict[str, Any]]:
    """All that the metadata say of these rows, the images themselves left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, dict[str, Any]] = {}
    columns = None
    if data_format.holds_metadata:
        columns = _columns_beside_images(folder, shard, data_format)
    for batch in batches_of(folder, shard, columns):
        wanted = batch.filter(pc.is_in(batch["key"], pa.array(sorted(keys), batch["key"].type)))
        found.update({row["key"]: row for row in wanted.to_pylist()})
    return found


def _columns_beside_images(folder: Folder, shard: str, data_format: OutputFormat) -> list[str]:
    schema = schema_of(folder, shard)
    return [name for name in schema.names if name != data_format.image_column(schema)]


def _reason(error: Exception) -> str:
    """What is wrong with a shard's data; what is broken says so of a thing that it does not name."""
    reason = one_line(error)
    return f"its file {reason}" if isinstance(error, (BrokenFile, UnreadableShard)) else reason

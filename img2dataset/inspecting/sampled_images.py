"""Images of a dataset chosen by a seed, with their metadata: the same seed, the same images.

In: a ``Dataset``. Out: one ``SampledImage`` after another. Some shards are chosen, those with more images
more likely, and some samples of each: a look at the dataset, no statistics of it. Used for contact sheets;
reports take the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.formats import OutputFormat
from img2dataset.formats.findings import Findings
from img2dataset.formats.forward_files import ForwardFiles
from img2dataset.inspecting.dataset import Dataset
from img2dataset.types import SUCCESS
from img2dataset.verifying.inventory import FoundShard

# Shards whose images are looked at for one sample; more only where these have not enough.
USUAL_SHARDS, MOST_SHARDS = 8, 24
# What is read of a shard on a store that cannot be entered in the middle: images are chosen from so much.
READ_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class SampledImage:
    """One sample: its key, the name of its shard, its row of the metadata, and its image as it is stored."""

    key: str
    shard: str
    metadata: Mapping[str, Any]
    image: bytes


def sample_images(
    dataset: Dataset, count: int, seed: int = 0, successes_of: Mapping[str, int] | None = None
) -> Iterator[SampledImage]:
    """Images of a dataset by chance, each with its metadata; fewer where there are not so many.

    Args:
        dataset: opened.
        count: how many.
        seed: the same images of the same dataset each time.
        successes_of: how many images shards have, by name, where that is known; the others are not looked at.

    Raises:
        OutputError: the data of a shard are broken, or cannot be read.
        MissingDependency: a package that its format needs is not installed.
    """
    chance = random.Random(seed)
    shards = _shards_by_chance(dataset, successes_of, chance)[:MOST_SHARDS]
    left = count
    for number, shard in enumerate(shards):
        if not left:
            return
        # What one shard lacks, the ones after it make up for.
        share = -(-left // max(1, min(USUAL_SHARDS, len(shards)) - number))
        for sampled in _images_of(dataset, shard, share, chance):
            left -= 1
            yield sampled


def _shards_by_chance(
    dataset: Dataset, successes_of: Mapping[str, int] | None, chance: random.Random
) -> list[FoundShard]:
    """The shards that have images, those with more of them mostly before the others.

    Each takes the place u^(1/weight), u by chance (Efraimidis and Spirakis 2006).
    """
    places = []
    for shard in dataset.shards:
        weight = successes_of.get(shard.name, 0) if successes_of is not None else 1
        if weight and dataset.has_metadata(shard):
            places.append((chance.random() ** (1 / weight), shard))
    return [shard for _, shard in sorted(places, key=lambda place: -place[0])]


def _images_of(
    dataset: Dataset, shard: FoundShard, count: int, chance: random.Random
) -> Iterator[SampledImage]:
    """Images of one shard, in the order of its rows."""
    found = dataset.format_of(shard)
    if found.ending is None:
        return
    good = dataset.row_numbers(shard, "status", SUCCESS)
    if not good:
        return
    data_name = found.data_name(shard.name) or ""
    by_key = {row["key"]: row for row in dataset.rows_at(shard, chance.sample(good, min(count, len(good))))}
    with dataset.reading(data_name):
        if dataset.location.is_local or found.is_folder or found.holds_metadata:
            images = _chosen_images(dataset, found, data_name, list(by_key))
        else:
            images = _first_images(dataset, found, data_name, count, chance)
            numbers = [n for key in images for n in dataset.row_numbers(shard, "key", key)]
            by_key = {row["key"]: row for row in dataset.rows_at(shard, numbers)}
    for key, row in by_key.items():
        if (image := images.get(key)) is not None:
            yield SampledImage(key, shard.name, row, image)


def _chosen_images(
    dataset: Dataset, found: OutputFormat, data_name: str, keys: Sequence[str]
) -> dict[str, bytes]:
    """These images: by where they lie, or, of a table and of a store, read forwards to the last of them."""
    if dataset.location.is_local and not found.holds_metadata:
        stored = found.images(dataset.path_of(data_name))
        return {key: image for key in keys if (image := stored.read(key)) is not None}
    images: dict[str, bytes] = {}
    source = ForwardFiles(dataset.location.file_system, dataset.location.path, frozenset(keys))
    samples = found.samples(source, data_name, columns=(), with_images=True, findings=Findings())
    for sample in samples:
        if sample.key in source.wanted and sample.image is not None:
            images[sample.key] = bytes(sample.image)
            if len(images) == len(keys):
                break
    return images


def _first_images(
    dataset: Dataset, found: OutputFormat, data_name: str, count: int, chance: random.Random
) -> dict[str, bytes]:
    """Images by chance from the beginning of the data, as each was written when it was finished.

    A store sends them from the beginning: the whole of a shard would take minutes. Each sample that comes
    takes the place of one of those kept with the right chance (reservoir sampling).
    """
    source = ForwardFiles(dataset.location.file_system, dataset.location.path, ())
    kept: list[tuple[str, bytes]] = []
    read_bytes = 0
    samples = found.samples(source, data_name, columns=(), with_images=True, findings=Findings())
    for number, sample in enumerate(samples):
        if sample.image is None:
            continue
        place = number if number < count else chance.randrange(number + 1)
        if place < count:
            pair = (sample.key, bytes(sample.image))
            kept[place : place + 1] = [pair]
        read_bytes += sample.image_bytes or 0
        if read_bytes > READ_BYTES:
            break
    return dict(sorted(kept))

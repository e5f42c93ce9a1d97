"""Images of a dataset chosen by a seed, with their metadata: the same seed, the same images.

In: a ``Dataset``. Out: one ``SampledImage`` after another. Some shards are chosen, those with more images
more likely, and some samples of each: a look at the dataset, no statistics of it. Used for contact sheets;
reports take the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OutputError, one_line
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
    dataset: Dataset,
    count: int,
    seed: int = 0,
    successes_of: Mapping[str, int] | None = None,
    on_problem: Callable[[str], None] | None = None,
) -> Iterator[SampledImage]:
    """Images of a dataset by chance, each with its metadata; fewer where there are not so many.

    Args:
        dataset: opened.
        count: how many.
        seed: the same images of the same dataset each time.
        successes_of: how many images shards have, by name, where that is known; the others are not looked at.
        on_problem: told of each shard that cannot be read, whose images others make up for; None: the first
            one is an error.

    Raises:
        OutputError: the data of a shard are broken, or cannot be read, and nobody is told or no other has an
            image.
        MissingDependency: a package that its format needs is not installed.
    """
    chance = random.Random(seed)
    shards = _shards_by_chance(dataset, successes_of, chance)[:MOST_SHARDS]
    sampling = _Sampling(dataset, chance, on_problem)
    usual, others = shards[:USUAL_SHARDS], shards[USUAL_SHARDS:]
    # The smallest first: what one lacks of an equal share, those after it have.
    usual.sort(key=sampling.images_left)
    left = count
    for number, shard in enumerate([*usual, *others, *reversed(usual)]):
        share = -(-left // max(1, len(usual) - number))
        for sampled in sampling.images_of(shard, share):
            left -= 1
            yield sampled
        if not left:
            return
    if left == count and sampling.first_problem is not None:
        raise sampling.first_problem


class _Sampling:
    """Which rows of each shard may still be taken, in an order by chance; and what could not be read."""

    def __init__(
        self, dataset: Dataset, chance: random.Random, on_problem: Callable[[str], None] | None
    ) -> None:
        self._dataset, self._chance, self._on_problem = dataset, chance, on_problem
        self._left: dict[str, list[int]] = {}
        self.first_problem: OutputError | None = None

    def images_left(self, shard: FoundShard) -> int:
        """How many images of a shard have not been taken."""
        if shard.name not in self._left:
            self._left[shard.name] = []
            try:
                good = self._dataset.row_numbers(shard, "status", SUCCESS)
                self._left[shard.name] = self._chance.sample(good, len(good))
            except OutputError as error:
                self._leave_out(shard, error)
        return len(self._left[shard.name])

    def images_of(self, shard: FoundShard, count: int) -> list[SampledImage]:
        """So many images of a shard at most, others each time."""
        if not self.images_left(shard):
            return []
        order = self._left[shard.name]
        try:
            found = self._dataset.format_of(shard)
            is_chosen = self._dataset.location.is_local or found.is_folder or found.holds_metadata
            # What is read forwards begins anew each time.
            self._left[shard.name] = order[count:] if is_chosen else []
            return list(_images_of(self._dataset, shard, found, order[:count], self._chance))
        except OutputError as error:
            self._leave_out(shard, error)
            return []

    def _leave_out(self, shard: FoundShard, error: OutputError) -> None:
        if self._on_problem is None:
            raise error
        self._left[shard.name] = []
        self.first_problem = self.first_problem or error
        self._on_problem(f"no images of shard {shard.name} can be shown: {one_line(error)}")


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
    dataset: Dataset, shard: FoundShard, found: OutputFormat, rows: Sequence[int], chance: random.Random
) -> Iterator[SampledImage]:
    """Images of one shard, in the order of its rows: these, or as many where it is read forwards."""
    if found.ending is None:
        return
    data_name = found.data_name(shard.name) or ""
    by_key = {row["key"]: row for row in dataset.rows_at(shard, rows)}
    with dataset.reading(data_name):
        if dataset.location.is_local or found.is_folder or found.holds_metadata:
            images = _chosen_images(dataset, found, data_name, list(by_key))
        else:
            images = _first_images(dataset, found, data_name, len(rows), chance)
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

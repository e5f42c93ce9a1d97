"""Aspect-ratio buckets and the sampler whose batches hold one bucket."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from img2dataset.errors import OptionError
from img2dataset.training import (
    SDXL_SIZES,
    Buckets,
    BucketSampler,
    ImageTextDataset,
    ShuffleSampler,
    bucket_sizes,
    collate,
)
from tests.pictures import photograph_pixels


@settings(deadline=None)
@given(st.integers(16, 2048), st.integers(1, 128), st.floats(1, 8))
def test_bucket_sizes_keep_to_area_step_and_ratio(side: int, step: int, ratio: float) -> None:
    if side < step:
        with pytest.raises(OptionError, match="area"):
            bucket_sizes(side * side, step, ratio)
        return
    sizes = bucket_sizes(side * side, step, ratio)
    assert sizes
    for width, height in sizes:
        assert width * height <= side * side
        assert width % step == height % step == 0
        assert max(width, height) <= ratio * min(width, height)
    assert {(height, width) for width, height in sizes} == set(sizes)


def test_the_sdxl_list_is_forty_sizes_near_a_megapixel() -> None:
    assert len(set(SDXL_SIZES)) == 40
    assert (1024, 1024) in SDXL_SIZES
    assert (2048, 512) in SDXL_SIZES
    assert (832, 1216) in SDXL_SIZES
    assert all(0.9 < width * height / 1024**2 < 1.07 for width, height in SDXL_SIZES)
    assert all(width % 64 == height % 64 == 0 for width, height in SDXL_SIZES)


def test_a_picture_goes_to_the_closest_aspect_ratio() -> None:
    buckets = Buckets("sdxl")
    assert buckets.sizes[buckets.assign(500, 500)] == (1024, 1024)
    assert buckets.sizes[buckets.assign(4000, 1000)] == (2048, 512)
    assert buckets.sizes[buckets.assign(300, 450)] == (832, 1216)


def test_without_enlarging_a_picture_covers_its_bucket_or_has_none() -> None:
    buckets = Buckets([(64, 64), (128, 128), (128, 64), (64, 128)], upscale=False)
    assert buckets.sizes[buckets.assign(200, 200)] == (128, 128)
    assert buckets.sizes[buckets.assign(100, 100)] == (64, 64)
    assert buckets.sizes[buckets.assign(120, 64)] == (64, 64)
    assert buckets.assign(63, 500) == -1
    with pytest.raises(OptionError, match="63x500"):
        buckets.fit(63, 500)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1), st.booleans())
@settings(deadline=None)
def test_assigning_many_is_assigning_each(sizes: list[tuple[int, int]], upscale: bool) -> None:
    buckets = Buckets(area=256 * 256, step=32, upscale=upscale)
    widths, heights = zip(*sizes, strict=True)
    assert buckets.assign_many(widths, heights).tolist() == [buckets.assign(*size) for size in sizes]


def test_the_crop_coordinates_say_what_was_cut_off() -> None:
    pixels = photograph_pixels(300, 200)
    result, fit = Buckets([(128, 128)]).resize_and_crop(Image.fromarray(pixels))
    assert result.shape == (128, 128, 3)
    assert (fit.size, fit.scaled, fit.crop_left, fit.crop_top) == ((128, 128), (192, 128), 32, 0)


def bucket_numbers(count: int, buckets: int, seed: int = 0) -> np.ndarray:
    # As real pictures are: a few aspect ratios hold most of them.
    weights = 1 / np.arange(1, buckets + 1) ** 1.3
    return np.random.default_rng(seed).choice(buckets, count, p=weights / weights.sum())


@given(
    st.integers(1, 300),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from(["short", "fill", "drop"]),
    st.booleans(),
)
@settings(deadline=None)
def test_every_rank_has_as_many_batches_of_one_bucket_each(
    count: int, batch_size: int, world_size: int, remainder: str, shuffle: bool
) -> None:
    numbers = bucket_numbers(count, 7)
    numbers[::10] = -1
    if (numbers < 0).all():
        return
    ranks = [
        list(
            BucketSampler(
                numbers, batch_size, remainder=remainder, shuffle=shuffle, rank=r, world_size=world_size
            )
        )
        for r in range(world_size)
    ]
    assert len({len(batches) for batches in ranks}) == 1
    for step in zip(*ranks, strict=True):
        assert len({numbers[index] for batch in step for index in batch}) == 1
        assert all(batch for batch in step)
        assert all(len(batch) <= batch_size for batch in step)
    given_out = Counter(index for batches in ranks for batch in batches for index in batch)
    expected = {index for index in range(count) if numbers[index] >= 0}
    assert set(given_out) <= expected
    if remainder == "drop":
        assert set(given_out.values()) <= {1}
    else:
        assert set(given_out) == expected
    if remainder == "short":
        assert sum(given_out.values()) - len(expected) < 7 * world_size


def test_few_samples_are_dropped_or_doubled() -> None:
    numbers = bucket_numbers(20_000, 40)
    shares = {}
    for remainder in ("short", "fill", "drop"):
        batches = [
            batch
            for rank in range(4)
            for batch in BucketSampler(numbers, 32, remainder=remainder, rank=rank, world_size=4)
        ]
        counted = Counter(index for batch in batches for index in batch)
        shares[remainder] = (20_000 - len(counted), counted.total() - len(counted))
    assert shares["short"][0] == 0
    assert shares["short"][1] <= 40 * 3
    assert shares["fill"][0] == 0
    assert shares["drop"][1] == 0
    assert shares["drop"][0] < 0.2 * 20_000


def test_dropped_rows_are_others_in_every_epoch() -> None:
    numbers = np.zeros(100, int)
    sampler = BucketSampler(numbers, 16, remainder="drop")
    dropped = [set(range(100)) - {index for batch in sampler for index in batch} for _ in range(4)]
    assert all(len(one) == 4 for one in dropped)
    assert len(set.union(*dropped)) > 8


@pytest.mark.parametrize("kind", ["bucket", "shuffle"])
def test_an_epoch_follows_from_the_seed_and_can_be_gone_on_with(kind: str) -> None:
    def new():
        if kind == "bucket":
            return BucketSampler(bucket_numbers(200, 5), 8, seed=3)
        return ShuffleSampler(range(200), seed=3)

    whole = new()
    epochs = [list(whole), list(whole)]
    assert epochs[0] != epochs[1]
    again = new()
    again.set_epoch(1)
    assert list(again) == epochs[1]
    begun = new()
    begun.set_epoch(1)
    iterator = iter(begun)
    used = [next(iterator) for _ in range(7)]
    next(iterator)  # a worker took one ahead
    resumed = new()
    resumed.load_state_dict(begun.state_dict(consumed=7))
    assert len(resumed) == len(epochs[1]) - 7
    assert used + list(resumed) == epochs[1]
    assert list(resumed) == list(whole)
    with pytest.raises(OptionError, match="seed"):
        BucketSampler([0], 1, seed=4).load_state_dict(begun.state_dict())


def test_a_state_is_of_the_epoch_in_training_though_workers_took_the_rest_of_it(
    pictures_folder: Path,
) -> None:
    dataset = ImageTextDataset(pictures_folder, img_transform={"resize": [8, 8]})

    def loader(sampler: ShuffleSampler) -> Any:
        return DataLoader(dataset, 2, sampler=sampler, num_workers=2, collate_fn=collate)

    whole = ShuffleSampler(dataset)
    first, second = ([batch["index"].tolist() for batch in loader(whole)] for _ in range(2))
    assert whole.state_dict() == {"seed": 0, "epoch": 2, "consumed": 0}
    stopped = ShuffleSampler(dataset)
    assert next(iter(loader(stopped)))["index"].tolist() == first[0]
    resumed = ShuffleSampler(dataset)
    resumed.load_state_dict(stopped.state_dict(consumed=2))
    # As loops that are made for DistributedSampler do.
    resumed.set_epoch(0)
    assert [batch["index"].tolist() for batch in loader(resumed)] == first[1:]
    assert [batch["index"].tolist() for batch in loader(resumed)] == second


def test_ranks_share_the_rows_of_a_shuffled_epoch() -> None:
    ranks = [list(ShuffleSampler(range(10), rank=rank, world_size=3)) for rank in range(3)]
    assert [len(rank) for rank in ranks] == [4, 4, 4]
    assert set().union(*ranks) == set(range(10))
    dropping = [list(ShuffleSampler(range(10), rank=r, world_size=3, drop_last=True)) for r in range(3)]
    assert sorted(len(rank) for rank in dropping) == [3, 3, 3]
    assert len(set().union(*dropping)) == 9


def test_rows_without_a_bucket_alone_are_an_error() -> None:
    with pytest.raises(OptionError, match="no row has a bucket"):
        BucketSampler([-1, -1], 2)

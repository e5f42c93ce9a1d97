"""Samplers beside accelerate, which divides among ranks too, and datasets inside others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset

from img2dataset.errors import OptionError
from img2dataset.training import BucketSampler, ImageTextDataset, ShuffleSampler, collate

ROWS, RANKS = 50, 2


class Numbers(torch.utils.data.Dataset):  # type: ignore[misc]
    """The numbers of rows; knows which epoch it was told."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.epoch = -1

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> int:
        return index

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def prepared(loader: DataLoader[int], rank: int) -> DataLoader[int]:
    accelerate = pytest.importorskip("accelerate.data_loader")
    made: DataLoader[int] = accelerate.prepare_data_loader(
        loader, num_processes=RANKS, process_index=rank, put_on_device=False
    )
    return made


@pytest.mark.parametrize("drop_last", [False, True])
def test_with_accelerate_every_row_comes_once_over_all_ranks(drop_last: bool) -> None:
    seen: Counter[int] = Counter()
    for rank in range(RANKS):
        dataset = Numbers(ROWS)
        sampler = ShuffleSampler(dataset, rank=rank, world_size=RANKS, drop_last=drop_last)
        loader = prepared(DataLoader(dataset, batch_size=5, sampler=sampler), rank)
        batches = list(loader)
        assert len(loader) == len(batches) == 5
        seen.update(number for batch in batches for number in batch.tolist())
    assert seen == Counter(range(ROWS))


@pytest.mark.parametrize("remainder", ["fill", "drop"])
def test_with_accelerate_ranks_have_the_batches_of_buckets_that_they_have_without(remainder: Any) -> None:
    buckets = [row % 3 for row in range(ROWS)]
    for rank in range(RANKS):
        options = {"batch_size": 4, "rank": rank, "world_size": RANKS, "remainder": remainder}
        own = list(BucketSampler(buckets, **options))
        sampler = BucketSampler(buckets, **options)
        loader = prepared(DataLoader(Numbers(ROWS), batch_sampler=sampler), rank)
        assert [batch.tolist() for batch in loader] == own
        assert len(loader) == len(own)


def test_batches_that_accelerate_would_leave_out_are_refused_with_the_way_out() -> None:
    sampler = BucketSampler([0] * 7, 4, rank=0, world_size=RANKS)
    with pytest.raises(OptionError, match="remainder='fill'"):
        list(prepared(DataLoader(Numbers(7), batch_sampler=sampler), 0))


def test_without_accelerate_ranks_divide_by_themselves() -> None:
    seen: Counter[int] = Counter()
    for rank in range(RANKS):
        sampler = ShuffleSampler(Numbers(ROWS), rank=rank, world_size=RANKS)
        assert len(sampler) == ROWS // RANKS
        seen.update(sampler)
    assert seen == Counter(range(ROWS))


@pytest.mark.parametrize("remainder", ["short", "fill", "drop"])
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_length_is_the_number_of_batches_and_makes_no_epoch(
    remainder: Any, world_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets = [-1, -1, *(row * row % 5 for row in range(83))]
    for batch_size in (1, 4, 7):
        sampler = BucketSampler(buckets, batch_size, remainder=remainder, rank=0, world_size=world_size)
        count = len(list(sampler))
        sampler = BucketSampler(buckets, batch_size, remainder=remainder, rank=0, world_size=world_size)
        monkeypatch.setattr(sampler, "_shuffled_steps", None)
        assert len(sampler) == count


def test_the_epoch_reaches_datasets_inside_others(pictures_folder: Path) -> None:
    inner = [Numbers(4), Numbers(6), Numbers(5)]
    whole = ConcatDataset([Subset(inner[0], [0, 2]), ConcatDataset([inner[1]]), inner[2]])
    sampler = ShuffleSampler(whole)
    for epoch in range(3):
        list(sampler)
        assert [each.epoch for each in inner] == [epoch] * 3
    dataset = ImageTextDataset(
        pictures_folder, img_transform={"resize": 32, "random_crop": 16, "horizontal_flip": 0.5}, seed=1
    )
    part = Subset(dataset, [0, 1, 2])
    loader = DataLoader(part, batch_size=3, sampler=ShuffleSampler(part, shuffle=False), collate_fn=collate)
    first, second = (next(iter(list(loader)))["img"] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("goes_on_with_accelerate", [True, False])
def test_with_accelerate_a_position_counts_the_items_of_one_rank(goes_on_with_accelerate: bool) -> None:
    seen: Counter[int] = Counter()
    for rank in range(RANKS):
        options: dict[str, Any] = {"rank": rank, "world_size": RANKS, "seed": 3}
        begun = ShuffleSampler(Numbers(ROWS), **options)
        batches = iter(prepared(DataLoader(Numbers(ROWS), batch_size=5, sampler=begun), rank))
        used = [number for _ in range(2) for number in next(batches).tolist()]
        resumed = ShuffleSampler(Numbers(ROWS), **options)
        resumed.load_state_dict(begun.state_dict(consumed=len(used)))
        loader = DataLoader(Numbers(ROWS), batch_size=5, sampler=resumed)
        if goes_on_with_accelerate:
            loader = prepared(loader, rank)
        assert len(loader) == 3
        rest = [number for batch in loader for number in batch.tolist()]
        assert resumed.state_dict() == {"seed": 3, "epoch": 1, "consumed": 0}
        seen.update(used + rest)
    assert seen == Counter(range(ROWS))


def test_with_accelerate_batches_of_buckets_go_on_where_they_were() -> None:
    buckets = [row % 3 for row in range(ROWS)]
    for rank in range(RANKS):
        options: dict[str, Any] = {"batch_size": 4, "rank": rank, "world_size": RANKS, "remainder": "fill"}
        whole = list(BucketSampler(buckets, **options))
        begun = BucketSampler(buckets, **options)
        batches = iter(prepared(DataLoader(Numbers(ROWS), batch_sampler=begun), rank))
        assert [next(batches).tolist() for _ in range(3)] == whole[:3]
        assert 3 <= begun.state_dict()["consumed"] <= 5  # accelerate takes ahead
        resumed = BucketSampler(buckets, **options)
        resumed.load_state_dict(begun.state_dict(consumed=3))
        loader = prepared(DataLoader(Numbers(ROWS), batch_sampler=resumed), rank)
        assert [batch.tolist() for batch in loader] == whole[3:]

"""A dataset that lies whole on a device: its batches are those of a DataLoader, nothing is loaded again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from img2dataset.errors import OptionError
from img2dataset.training import (
    BucketSampler,
    ConcatDataset,
    DeviceDataset,
    FeatureDataset,
    ImageTextDataset,
    ShuffleSampler,
    collate,
    precompute,
)
from img2dataset.training.batch.collation import EmptyBatch
from tests.pictures import photograph


def letters(caption: str) -> list[int]:
    return [ord(letter) for letter in caption]


def dataset_of(folder: Path, **options: Any) -> ImageTextDataset:
    return ImageTextDataset(
        folder, **{"img_transform": {"resize": [8, 8]}, "tokenizer": letters, "seed": 0, **options}
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_the_batches_are_those_of_a_data_loader_without_loading_again(
    pictures_folder: Path, workers: int
) -> None:
    dataset = dataset_of(pictures_folder)
    sampler = ShuffleSampler(dataset, seed=3)
    expected = [list(DataLoader(dataset, 4, sampler=sampler, collate_fn=collate)) for _epoch in range(3)]
    on_device = DeviceDataset(dataset, "cpu", batch_size=4, seed=3, num_workers=workers)
    shutil.rmtree(pictures_folder)
    assert len(on_device) == 2
    for batches in expected:
        for found, batch in zip(on_device, batches, strict=True):
            assert torch.equal(found["img"], batch["img"])
            assert found["index"].tolist() == batch["index"].tolist()
            assert found["caption"] == batch["caption"]
            longest = batch["tokens"].shape[1]
            assert torch.equal(found["tokens"][:, :longest], batch["tokens"])
            assert found["tokens_mask"].sum() == batch["tokens_mask"].sum()
            assert found["img"].device == torch.device("cpu")
    on_device.set_epoch(0)
    assert next(iter(on_device))["index"].tolist() == expected[0][0]["index"].tolist()


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 2]), (True, [4])])
def test_the_last_batch_is_smaller_or_left_out(
    pictures_folder: Path, drop_last: bool, sizes: list[int]
) -> None:
    on_device = DeviceDataset(dataset_of(pictures_folder), "cpu", batch_size=4, drop_last=drop_last)
    assert [len(batch["index"]) for batch in on_device] == sizes
    assert len(on_device) == len(sizes)


def test_ranks_divide_the_rows(pictures_folder: Path) -> None:
    dataset = dataset_of(pictures_folder)
    seen = [
        number
        for rank in range(2)
        for batch in DeviceDataset(dataset, "cpu", batch_size=2, rank=rank, world_size=2)
        for number in batch["index"].tolist()
    ]
    assert sorted(seen) == list(range(6))


def test_a_transform_of_batches_is_called_anew_in_each_epoch(pictures_folder: Path) -> None:
    def noisy(batch: dict[str, Any]) -> dict[str, Any]:
        return batch | {"img": batch["img"] + torch.rand_like(batch["img"])}

    on_device = DeviceDataset(
        dataset_of(pictures_folder), "cpu", batch_size=6, shuffle=False, transform=noisy
    )
    (first,), (second,) = list(on_device), list(on_device)
    assert not torch.equal(first["img"], second["img"])


def test_buckets_have_their_batches_on_the_device(pictures_folder: Path, tmp_path: Path) -> None:
    for n in range(4):
        (pictures_folder / f"tall{n}.png").write_bytes(photograph(60, 90, n))
    dataset = dataset_of(pictures_folder, buckets={"sizes": [[64, 48], [48, 64]]}, img_transform={})
    on_device = DeviceDataset(dataset, "cpu", batch_sampler=BucketSampler(dataset, 3, seed=1))
    batches = list(on_device)
    assert len(batches) == len(on_device) == 4
    assert {tuple(batch["img"].shape[2:]) for batch in batches} == {(48, 64), (64, 48)}
    assert sorted(number for batch in batches for number in batch["index"].tolist()) == list(range(10))
    with pytest.raises(OptionError, match=r"2 different sizes .* batch_sampler=BucketSampler"):
        DeviceDataset(dataset, "cpu", batch_size=2)
    with pytest.raises(OptionError, match=r"different sizes \(rows"):
        list(DeviceDataset(dataset, "cpu", batch_sampler=[list(range(10))]))


def test_rows_that_fail_are_in_no_batch(pictures_folder: Path) -> None:
    rows = [{"image": name} for name in ("0.jpg", "none.jpg", "2.jpg", "gone.jpg", "4.jpg")]
    dataset = dataset_of(rows, base_path=pictures_folder, on_error="skip")  # type: ignore[arg-type]
    for whole in (dataset, ConcatDataset([dataset]), Subset(dataset, [0, 1, 2, 3, 4])):
        on_device = DeviceDataset(whole, "cpu", batch_size=2, shuffle=False)
        assert [batch["index"].tolist() for batch in on_device] == [[0, 2], [4]]
    with pytest.raises(EmptyBatch, match="not one sample"):
        DeviceDataset(Subset(dataset, [1, 3]), "cpu", batch_size=2)


def test_features_lie_there_too(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    precompute(dataset, lambda batch: {"mean": batch["img"].mean(dim=(2, 3))}, tmp_path / "f", version="1")
    features = FeatureDataset(dataset, tmp_path / "f", version="1")
    (batch,) = DeviceDataset(features, "cpu", batch_size=6, shuffle=False)
    assert torch.allclose(batch["mean"][2], dataset[2]["img"].mean(dim=(1, 2)))


def test_it_says_how_much_lies_there(pictures_folder: Path) -> None:
    on_device = DeviceDataset(dataset_of(pictures_folder, tokenizer=None), "cpu", batch_size=4)
    assert on_device.size_in_bytes == 6 * (3 * 8 * 8 * 4 + 8)
    assert repr(on_device) == "DeviceDataset(6 rows, 0.0 MB on cpu, batch_size=4)"


@pytest.mark.parametrize("device", ["cuda:77", "graphics", 5.5])
def test_a_device_that_is_not_there_is_named(pictures_folder: Path, device: Any) -> None:
    with pytest.raises(OptionError, match=f"device is {device!r}, which cannot be used here"):
        DeviceDataset(dataset_of(pictures_folder), device, batch_size=4)


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 2, "batch_sampler": [[0]]}, *({"batch_size": size} for size in (0, 2.5, "2"))],
)
def test_wrong_values_are_named(pictures_folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="batch_size"):
        DeviceDataset(dataset_of(pictures_folder), "cpu", **options)


def test_what_has_no_dictionaries_by_number_is_named(pictures_folder: Path) -> None:
    pairs = dataset_of(pictures_folder, model_transform=lambda sample: (sample["img"], sample["caption"]))
    with pytest.raises(OptionError, match="sample 0 of the dataset is a tuple"):
        DeviceDataset(pairs, "cpu", batch_size=2)
    with pytest.raises(OptionError, match="is a list_iterator, which has no samples by number"):
        DeviceDataset(iter([{}]), "cpu", batch_size=2)

"""Features computed once: stored, found again, gone on with, and never mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.training import FeatureDataset, ImageTextDataset, collate, precompute


class Encoder:
    """A small stand-in of an encoder's shape: counts its samples, and can fail after some."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.samples = 0
        self.fail_after = fail_after

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self.fail_after is not None and self.samples >= self.fail_after:
            raise RuntimeError("out of memory")
        self.samples += len(batch["img"])
        # Latents are of one shape; text features are as long as the text.
        text = [torch.arange(len(caption)).float() for caption in batch["caption"]]
        return {"latent": batch["img"].mean(dim=(2, 3)), "text": text}


def dataset_of(folder: Path, size: int = 16) -> ImageTextDataset:
    return ImageTextDataset(folder, img_transform={"resize": [size, size]})


def test_features_are_computed_once_and_read_in_place_of_the_images(
    pictures_folder: Path, tmp_path: Path
) -> None:
    encoder = Encoder()
    dataset = dataset_of(pictures_folder)
    assert precompute(dataset, encoder, tmp_path / "f", version="v1", batch_size=4, samples_per_shard=4) == 6
    assert precompute(dataset, encoder, tmp_path / "f", version="v1") == 0
    assert encoder.samples == 6
    assert len(list((tmp_path / "f").glob("*.safetensors"))) == 2
    features = FeatureDataset(dataset, tmp_path / "f", version="v1")
    for index in range(6):
        expected = dataset[index]
        assert torch.allclose(features[index]["latent"], expected["img"].mean(dim=(1, 2)), atol=1e-6)
        assert len(features[index]["text"]) == len(expected["caption"])
        assert features[index]["caption"] == expected["caption"]
    (batch,) = DataLoader(features, batch_size=6, num_workers=1, collate_fn=collate)
    assert batch["latent"].shape == (6, 3)
    assert batch["text"].shape[0] == 6
    assert batch["text_mask"].sum(dim=1).tolist() == [len(caption) for caption in batch["caption"]]


def test_an_interrupted_run_goes_on_where_it_was(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    with pytest.raises(RuntimeError, match="out of memory"):
        precompute(dataset, Encoder(fail_after=4), tmp_path, version="v1", batch_size=2, samples_per_shard=2)
    with pytest.raises(InputError, match="2 of 6 samples have no features"):
        FeatureDataset(dataset, tmp_path, version="v1")
    assert len(FeatureDataset(dataset, tmp_path, version="v1", on_missing="skip")) == 4
    rest = Encoder()
    assert precompute(dataset, rest, tmp_path, version="v1", batch_size=2) == 2
    assert rest.samples == 2
    assert len(FeatureDataset(dataset, tmp_path, version="v1")) == 6


def test_another_version_transform_caption_or_image_has_other_features(
    pictures_folder: Path, tmp_path: Path
) -> None:
    precompute(dataset_of(pictures_folder), Encoder(), tmp_path, version="v1")
    assert precompute(dataset_of(pictures_folder), Encoder(), tmp_path, version="v2") == 6
    assert precompute(dataset_of(pictures_folder, 24), Encoder(), tmp_path, version="v1") == 6
    (pictures_folder / "0.txt").write_text("another caption")
    assert precompute(dataset_of(pictures_folder), Encoder(), tmp_path, version="v1") == 1
    (pictures_folder / "2.jpg").write_bytes((pictures_folder / "4.jpg").read_bytes())
    assert precompute(dataset_of(pictures_folder), Encoder(), tmp_path, version="v1") == 1


def test_ranks_share_the_work_in_one_folder(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    done = [
        precompute(dataset, Encoder(), tmp_path, version="v1", rank=rank, world_size=2) for rank in (0, 1)
    ]
    assert done == [3, 3]
    assert len(FeatureDataset(dataset, tmp_path, version="v1")) == 6


def test_with_samples_the_image_comes_too(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    precompute(dataset, Encoder(), tmp_path, version="v1")
    sample = FeatureDataset(dataset, tmp_path, version="v1", with_samples=True)[3]
    assert sample["img"].shape == (3, 16, 16)
    assert sample["latent"].shape == (3,)


def test_what_an_encoder_may_not_return_is_named(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    with pytest.raises(Img2datasetError, match="one tensor a sample"):
        precompute(dataset, lambda batch: {"latent": torch.zeros(1, 3)}, tmp_path, version="v1")
    with pytest.raises(OptionError, match="version"):
        precompute(dataset, Encoder(), tmp_path, version="")

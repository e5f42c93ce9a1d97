"""Features computed once: stored, found again, gone on with, and never mixed up."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.training import (
    ConcatDataset,
    FeatureDataset,
    ImageTextDataset,
    MetadataDataset,
    collate,
    precompute,
)
from img2dataset.training.batch.feature_keys import feature_keys


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


class Words:
    """A small tokenizer: how many words, up to a length."""

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def __call__(self, caption: str) -> torch.Tensor:
        return torch.tensor([min(len(caption.split()), self.longest)])


def prefixed(caption: str, prefix: str) -> str:
    return prefix + caption


def captions_of(batch: dict[str, Any]) -> dict[str, Any]:
    return {"length": torch.tensor([[float(len(caption))] for caption in batch["caption"]])}


@pytest.mark.parametrize(
    "change",
    [
        {"caption_transform": functools.partial(prefixed, prefix="a painting of ")},
        {"caption_transform": lambda caption: caption.upper()},
        {"caption_transform": {"drop": 0.5}},
        {"tokenizer": Words(9)},
        {"model_transform": lambda sample: sample},
        {"captions": "first"},
        {"seed": 4},
        {"loader": {"mode": "L"}},
        {"buckets": {"area": 4096, "step": 16}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_samples_makes_features_of_another_key(
    pictures_folder: Path, change: dict[str, Any]
) -> None:
    usual: dict[str, Any] = {
        "caption_transform": functools.partial(prefixed, prefix="a photograph of "),
        "tokenizer": Words(8),
        "seed": 3,
    }
    before = feature_keys(ImageTextDataset(pictures_folder, **usual), "v1")
    assert feature_keys(ImageTextDataset(pictures_folder, **usual), "v1") == before
    assert not set(feature_keys(ImageTextDataset(pictures_folder, **{**usual, **change}), "v1")) & set(before)


def test_the_caption_is_the_one_that_was_encoded(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = ImageTextDataset(
        pictures_folder, img_transform={"resize": [8, 8]}, caption_transform=lambda caption: "my " + caption
    )
    precompute(dataset, captions_of, tmp_path, version="v1")
    features = FeatureDataset(dataset, tmp_path, version="v1")
    for sample in (features[index] for index in range(len(features))):
        assert sample["caption"].startswith("my ")
        assert sample["length"].tolist() == [len(sample["caption"])]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_epoch_computes_and_the_next_one_reads(
    pictures_folder: Path, tmp_path: Path, workers: int
) -> None:
    encoder = Encoder()
    dataset = dataset_of(pictures_folder)
    features = FeatureDataset(dataset, tmp_path / "f", version="v1", on_missing="compute", compute=encoder)
    loader = DataLoader(features, batch_size=3, num_workers=workers, collate_fn=collate)
    first = [batch["latent"] for batch in loader]
    assert len(FeatureDataset(dataset, tmp_path / "f", version="v1")) == 6  # raises where one is missing
    again = [batch["latent"] for batch in loader]
    assert torch.equal(torch.cat(first), torch.cat(again))
    if not workers:
        assert encoder.samples == 6
    # What precompute has made, it reads, and the other way round: the key is the same.
    assert precompute(dataset, encoder, tmp_path / "f", version="v1") == 0


def test_compute_and_on_missing_go_together(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = dataset_of(pictures_folder)
    for wrong in ({"on_missing": "compute"}, {"compute": Encoder()}, {"on_missing": "other"}):
        with pytest.raises(OptionError, match="on_missing"):
            FeatureDataset(dataset, tmp_path, version="v1", **wrong)


def test_features_of_several_datasets_are_joined_and_those_of_other_kinds_refused(
    pictures_folder: Path, tmp_path: Path
) -> None:
    parts = [dataset_of(pictures_folder), dataset_of(pictures_folder, 24)]
    for other in (ConcatDataset(parts), Subset(parts[0], [1]), MetadataDataset([{"image": "a.jpg"}])):
        with pytest.raises(OptionError, match=f"not of a {type(other).__name__}.* each for itself"):
            precompute(other, Encoder(), tmp_path, version="v1")
    joined = ConcatDataset(
        [
            FeatureDataset(part, tmp_path, version="v1", on_missing="compute", compute=Encoder())
            for part in parts
        ]
    )
    (batch,) = DataLoader(joined, 12, collate_fn=collate)
    assert batch["latent"].shape == (12, 3)
    assert joined[7]["caption"] == parts[1][1]["caption"]


def failing_rows(folder: Path) -> list[dict[str, Any]]:
    names = ("0.jpg", "none.jpg", "2.jpg", "4.jpg")
    return [{"image": str(folder / name), "caption": name} for name in names]


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_a_row_that_fails_does_what_on_error_says_in_every_epoch(
    pictures_folder: Path, tmp_path: Path, on_error: Any
) -> None:
    dataset = ImageTextDataset(
        failing_rows(pictures_folder), img_transform={"resize": [16, 16]}, on_error=on_error
    )
    encoder = Encoder()
    features = FeatureDataset(dataset, tmp_path, version="v1", on_missing="compute", compute=encoder)
    for _ in range(3):
        (batch,) = DataLoader(features, batch_size=4, collate_fn=collate)
        rows = batch["index"].tolist()
        assert [row for row in rows if row in (0, 2, 3)][:1] == [0]
        assert len(rows) == (3 if on_error == "skip" else 4)
        assert [dataset.rows.row(row)["caption"] for row in rows] == batch["caption"]
    assert encoder.samples == 3  # no row twice, whatever it stands in for
    alone = features[1]
    assert (alone is None) == (on_error == "skip")
    joined = ConcatDataset([features, dataset_of(pictures_folder)])
    assert len(joined.__getitems__([1, 5])) == (1 if on_error == "skip" else 2)


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_a_run_whose_only_missing_rows_fail_ends(
    pictures_folder: Path, tmp_path: Path, on_error: Any
) -> None:
    dataset = ImageTextDataset(
        failing_rows(pictures_folder), img_transform={"resize": [16, 16]}, on_error=on_error
    )
    for computed in (3, 0):
        assert precompute(dataset, Encoder(), tmp_path, version="v1", batch_size=1) == computed
    assert len(FeatureDataset(dataset, tmp_path, version="v1", on_missing="skip")) == 3


def test_features_never_go_with_the_image_of_another_row(pictures_folder: Path, tmp_path: Path) -> None:
    rows = [{"image": str(pictures_folder / f"{number}.jpg"), "caption": str(number)} for number in (0, 2, 4)]
    made = ImageTextDataset(rows, img_transform={"resize": [16, 16]}, on_error="replace")
    precompute(made, Encoder(), tmp_path, version="v1")
    features = FeatureDataset(made, tmp_path, version="v1", with_samples=True)
    (pictures_folder / "2.jpg").unlink()
    for sample in features.__getitems__([0, 1, 2]):
        assert torch.allclose(sample["img"].mean(dim=(1, 2)), sample["latent"], atol=1e-6)
        assert len(sample["text"]) == len(sample["caption"])


def test_a_sample_need_not_say_its_row(pictures_folder: Path, tmp_path: Path) -> None:
    dataset = ImageTextDataset(
        pictures_folder,
        img_transform={"resize": [16, 16]},
        model_transform=lambda sample: {"img": sample["img"], "caption": sample["caption"]},
    )
    assert precompute(dataset, Encoder(), tmp_path, version="v1") == 6


def test_a_path_below_the_home_folder_or_as_an_object_is_looked_at(
    pictures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(pictures_folder))
    for image, base in (("~/0.jpg", "/elsewhere"), (Path("0.jpg"), pictures_folder)):
        dataset = ImageTextDataset([{"image": image, "caption": "a"}], base_path=base)
        (before,) = feature_keys(dataset, "v1")
        with open(pictures_folder / "0.jpg", "ab") as file:
            file.write(b"more")
        assert feature_keys(dataset, "v1") != [before]


def test_pictures_of_the_same_bytes_and_another_shape_are_told_apart() -> None:
    keys = [
        feature_keys(ImageTextDataset([{"image": Image.new("RGB", size), "caption": "a"}]), "v1")
        for size in ((4, 8), (8, 4))
    ]
    assert keys[0] != keys[1]

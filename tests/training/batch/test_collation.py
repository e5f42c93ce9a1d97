"""Samples to a batch: shapes, dtypes, masks, and what stays a list."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from img2dataset.errors import OptionError
from img2dataset.training import Collate, collate
from img2dataset.training.batch.collation import EmptyBatch
from tests.pictures import photograph_pixels


def test_pictures_and_arrays_become_a_tensor_of_bytes() -> None:
    pixels = photograph_pixels(8, 6)
    batch = collate([{"img": Image.fromarray(pixels)}, {"img": pixels}])
    assert batch["img"].shape == (2, 3, 6, 8)
    assert batch["img"].dtype == torch.uint8
    assert (batch["img"][1].permute(1, 2, 0).numpy() == pixels).all()


def test_images_of_different_sizes_are_an_error_or_padded_with_a_mask() -> None:
    samples = [{"img": torch.ones(3, 4, 6)}, {"img": torch.ones(3, 5, 2)}]
    with pytest.raises(OptionError, match="pad_images"):
        collate(samples)
    batch = Collate(pad_images=True)(samples)
    assert batch["img"].shape == (2, 3, 5, 6)
    assert batch["img_mask"].shape == (2, 5, 6)
    assert batch["img_mask"].sum(dim=(1, 2)).tolist() == [24, 10]
    assert batch["img"][1, :, ~batch["img_mask"][1]].sum() == 0


def test_tokens_are_padded_with_a_mask() -> None:
    batch = Collate(pad_id=9)([{"tokens": [1, 2, 3]}, {"tokens": [4]}])
    assert batch["tokens"].tolist() == [[1, 2, 3], [4, 9, 9]]
    assert batch["tokens_mask"].tolist() == [[True, True, True], [True, False, False]]


def test_tokens_of_several_tokenizers_are_padded_each_with_its_own() -> None:
    samples = [{"tokens": {"clip": [1], "t5": [5, 6]}}, {"tokens": {"clip": [2, 3], "t5": [7, 8]}}]
    batch = Collate(pad_id={"clip": 7})(samples)["tokens"]
    assert batch["clip"].tolist() == [[1, 7], [2, 3]]
    assert batch["clip_mask"].tolist() == [[True, False], [True, True]]
    assert batch["t5"].tolist() == [[5, 6], [7, 8]]
    assert batch["t5_mask"].all()


def test_everything_else_is_kept() -> None:
    samples = [
        {"caption": "one", "index": 3, "metadata": {"width": None}, "latent": np.zeros((2, 2), np.float32)},
        {"caption": "two", "index": 4, "metadata": {"width": 5}, "latent": np.ones((2, 2), np.float32)},
    ]
    batch = collate(samples)
    assert batch["caption"] == ["one", "two"]
    assert batch["index"].tolist() == [3, 4]
    assert batch["metadata"] == [{"width": None}, {"width": 5}]
    assert batch["latent"].shape == (2, 2, 2)


def test_skipped_samples_are_left_out_but_not_all_of_them() -> None:
    assert collate([None, {"caption": "one"}, None])["caption"] == ["one"]
    with pytest.raises(EmptyBatch, match="all 2 samples"):
        collate([None, None])

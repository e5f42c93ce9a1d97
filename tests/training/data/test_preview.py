"""A look at a dataset: the pictures are on the sheet, whatever they are as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2dataset.errors import OptionError
from img2dataset.training import ImageTextDataset, preview
from img2dataset.training.data.preview import as_picture
from tests.pictures import photograph_pixels


@pytest.mark.parametrize("normalize", [False, True])
def test_the_sheet_shows_the_transformed_pictures_and_captions(
    pictures_folder: Path, normalize: bool
) -> None:
    dataset = ImageTextDataset(
        pictures_folder, img_transform={"resize": [64, 64], "center_crop": True, "normalize": normalize}
    )
    sheet = preview(dataset, 5, columns=3, size=64)
    assert sheet.size == (3 * 72 + 8, 2 * (72 + 45) + 8)
    shown = np.asarray(sheet)[8 : 8 + 64, 8 : 8 + 64].astype(int)
    expected = np.asarray(as_picture(dataset[0]["img"])).astype(int)
    assert abs(shown - expected).max() <= 1
    caption = np.asarray(sheet)[8 + 66 : 8 + 80, 8 : 8 + 64]
    assert caption.min() < 128  # there is ink below the picture


def test_tensors_of_every_range_give_the_same_picture() -> None:
    pixels = photograph_pixels(16, 16)
    planes = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    for image in (Image.fromarray(pixels), pixels, planes, planes * 2 - 1):
        assert abs(np.asarray(as_picture(image)).astype(int) - pixels).max() <= 1


def test_a_notebook_can_show_the_sheet_by_itself(pictures_folder: Path) -> None:
    sheet = preview(ImageTextDataset(pictures_folder), 2)
    assert sheet._repr_png_().startswith(b"\x89PNG")


def test_streams_can_be_looked_at_and_a_seed_chooses(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(pictures_folder, img_transform={"resize": [32, 32]})
    assert preview((dataset[n] for n in range(6)), 4, size=32).size == (4 * 40 + 8, 40 + 45 + 8)
    assert preview(dataset, 2, seed=1).tobytes() == preview(dataset, 2, seed=1).tobytes()
    assert preview(dataset, 2, seed=1).tobytes() != preview(dataset, 2, seed=4).tobytes()


def test_nothing_to_look_at_is_an_error() -> None:
    with pytest.raises(OptionError, match="no sample"):
        preview([])
    with pytest.raises(OptionError, match="columns"):
        preview([], columns=0)

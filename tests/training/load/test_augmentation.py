"""The usual random transforms by plain arguments: what they do to pixels, their seeds, and their limits."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageEnhance

from img2dataset.errors import OptionError
from img2dataset.training import ImageTextDataset, ImageTransform, UrlStream
from img2dataset.training.data.preview import as_picture
from tests.pictures import photograph_pixels

PIXELS = photograph_pixels(60, 40)
FIXED: dict[str, dict[str, Any]] = {
    "brightness": {"color_jitter": {"brightness": [1.3, 1.3]}},
    "contrast": {"color_jitter": {"contrast": [0.6, 0.6]}},
    "saturation": {"color_jitter": {"saturation": [1.7, 1.7]}},
    "hue": {"color_jitter": {"hue": [0.5, 0.5]}},
    "grayscale": {"grayscale": 1.0},
    "vertical_flip": {"vertical_flip": 1.0},
    "horizontal_flip": {"horizontal_flip": 1.0},
    "rotation": {"rotation": [90, 90]},
}


def expected(name: str) -> Any:
    """What Pillow or NumPy makes of the pixels."""
    picture = Image.fromarray(PIXELS)
    if name == "brightness":
        return ImageEnhance.Brightness(picture).enhance(1.3)
    if name == "contrast":
        return ImageEnhance.Contrast(picture).enhance(0.6)
    if name == "saturation":
        return ImageEnhance.Color(picture).enhance(1.7)
    if name == "hue":
        hsv = np.array(picture.convert("HSV"))
        hsv[:, :, 0] += 128
        return Image.fromarray(hsv, "HSV").convert("RGB")
    if name == "grayscale":
        return picture.convert("L").convert("RGB")
    if name == "vertical_flip":
        return PIXELS[::-1]
    if name == "horizontal_flip":
        return PIXELS[:, ::-1]
    return picture.rotate(90)


@pytest.mark.parametrize("name", FIXED)
def test_pixels_are_changed_as_their_names_say(name: str) -> None:
    made = ImageTransform(output="array", **FIXED[name])(PIXELS).astype(int)
    difference = abs(made - np.asarray(expected(name)).astype(int))
    # Pillow rounds between steps, and its hues have eight bits.
    assert np.median(difference) <= 2
    assert (difference > 12).mean() < 0.02
    assert made.shape == PIXELS.shape


RANDOM: list[dict[str, Any]] = [
    {"color_jitter": 0.4},
    {"color_jitter": [0.2, 0.2, 0.2, 0.1]},
    {"color_jitter": {"hue": 0.5}},
    {"vertical_flip": 0.5},
    {"grayscale": 0.5},
    {"rotation": 30},
    {"random_resized_crop": [24, 32]},
    {"random_resized_crop": {"size": 24, "scale": [0.05, 0.2]}, "color_jitter": 0.3, "horizontal_flip": 0.5},
]


@pytest.mark.parametrize("arguments", RANDOM, ids=str)
def test_the_same_seed_makes_the_same_and_others_differ(arguments: dict[str, Any]) -> None:
    transform = ImageTransform(**arguments)
    made = [transform(PIXELS, random.Random(seed)) for seed in range(12)]
    assert len({tuple(image.flatten().tolist()) for image in made}) > 1
    for seed, image in enumerate(made):
        assert torch.equal(transform(PIXELS, random.Random(seed)), image)


@pytest.mark.parametrize("arguments", RANDOM, ids=str)
def test_images_of_one_row_share_what_was_drawn(tmp_path: Path, arguments: dict[str, Any]) -> None:
    sizes = [(60, 40), (120, 80), (60, 40)]
    for number, size in enumerate(sizes):
        Image.fromarray(PIXELS).resize(size, Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
    rows = [{"image": [str(tmp_path / f"{n}.png") for n in range(3)]}] * 10
    dataset = ImageTextDataset(rows, img_transform={"resize": [40, 60], **arguments}, seed=1)
    apart = ImageTextDataset(
        rows, img_transform={"resize": [40, 60], **arguments}, seed=1, images_alike=False
    )
    for index in range(10):
        first, larger, same = dataset[index]["img"]
        assert torch.equal(first, same)
        assert (first - larger).abs().mean() < 0.05
    assert any(not torch.equal(*apart[index]["img"][::2]) for index in range(10))


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (400, 9), (1, 1)])
def test_a_random_part_has_its_size_and_lies_in_the_picture(size: tuple[int, int]) -> None:
    transform = ImageTransform(random_resized_crop={"size": [20, 30], "scale": [0.1, 0.6]}, output="array")
    pixels = photograph_pixels(*size)
    for seed in range(30):
        made, placement = transform.with_placement(pixels, random.Random(seed))
        assert made.shape == (20, 30, 3)
        assert placement.size == (30, 20)
        assert 0 <= placement.left <= placement.scaled[0] - 30 + 1
        assert 0 <= placement.top <= placement.scaled[1] - 20 + 1


def test_a_random_part_takes_the_share_that_was_asked_for() -> None:
    transform = ImageTransform(random_resized_crop={"size": 8, "scale": [0.2, 0.3], "ratio": [0.5, 2]})
    assert transform.resized_crop is not None
    for seed in range(50):
        left, top, width, height = transform.resized_crop.region((1000, 1000), random.Random(seed))
        assert 0.19 < width * height / 1e6 < 0.31
        assert 0.49 < width / height < 2.01
        assert left + width <= 1000
        assert top + height <= 1000


@pytest.mark.parametrize(
    ("arguments", "black", "white"),
    [
        ({}, 0, 1),
        ({"normalize": True}, -1, 1),
        ({"value_range": [0, 1]}, 0, 1),
        ({"value_range": [-1, 1]}, -1, 1),
        ({"value_range": [0, 255]}, 0, 255),
        ({"value_range": (-0.5, 0.5)}, -0.5, 0.5),
    ],
)
def test_values_reach_from_what_black_to_what_white_is(
    arguments: dict[str, Any], black: float, white: float
) -> None:
    pixels = np.zeros((2, 256, 3), np.uint8)
    pixels[:] = np.arange(256, dtype=np.uint8)[None, :, None]
    values = ImageTransform(**arguments)(pixels)
    assert values.dtype == torch.float32
    assert torch.allclose(values[0, 0], torch.linspace(black, white, 256), atol=1e-5 * (white - black))
    if white == 255:
        assert torch.equal(values[0, 0], torch.arange(256).float())


def test_a_preview_shows_values_up_to_255_as_they_are() -> None:
    dark = PIXELS // 3
    values = ImageTransform(value_range=[0, 255])(dark)
    assert (np.asarray(as_picture(values)) == dark).all()


def test_a_configuration_file_names_them_all(pictures_folder: Path) -> None:
    transform = yaml.safe_load(
        """
        random_resized_crop: {size: [32, 48], scale: [0.5, 1]}
        horizontal_flip: 0.5
        vertical_flip: 0.1
        rotation: 10
        color_jitter: {brightness: 0.2, contrast: [0.9, 1.1], saturation: 0.2, hue: 0.05}
        grayscale: 0.1
        value_range: [-1, 1]
        """
    )
    dataset = ImageTextDataset(pictures_folder, img_transform=transform, seed=0)
    assert dataset[0]["img"].shape == (3, 32, 48)
    assert -1 <= dataset[0]["img"].min() < 0 < dataset[0]["img"].max() <= 1


def test_streams_take_them_too(served: Any) -> None:
    transform = {"random_resized_crop": 16, "color_jitter": 0.5, "value_range": [0, 255]}
    sample = next(iter(UrlStream(served(1), img_transform=transform)))
    assert sample["img"].shape == (3, 16, 16)
    assert sample["img"].max() > 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"color_jitter": "strong"},
        {"color_jitter": {"brightnes": 1}},
        {"color_jitter": {"hue": 0.6}},
        {"color_jitter": [0.1] * 5},
        {"color_jitter": -1},
        {"vertical_flip": 2},
        {"grayscale": True},
        {"rotation": [30, -30]},
        {"rotation": -5},
        {"random_resized_crop": True},
        {"random_resized_crop": {"size": 8, "scale": [0, 1]}},
        {"random_resized_crop": {"size": 8, "scale": [0.5, 2]}},
        {"random_resized_crop": {"size": 8, "area": [0.5, 1]}},
        {"random_resized_crop": 8, "random_crop": 8},
        {"value_range": [1, 0]},
        {"value_range": 255},
        {"value_range": [0, 255], "normalize": True},
    ],
    ids=str,
)
def test_what_they_do_not_take_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(arguments))):
        ImageTransform(**arguments)


def test_with_buckets_a_random_part_has_no_place(pictures_folder: Path) -> None:
    with pytest.raises(OptionError, match="must not resize or crop"):
        ImageTextDataset(
            pictures_folder, buckets={"sizes": [[32, 32]]}, img_transform={"random_resized_crop": 8}
        )

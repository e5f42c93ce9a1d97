"""Resize, crop, flip, normalise: sizes, values, and the same picture as slow ways give."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from img2dataset.errors import OptionError
from img2dataset.imaging.at_size import resized
from img2dataset.training import ImageTransform
from img2dataset.training.load.image_bytes import DecodeFailed, decode_image, image_size
from img2dataset.training.load.image_pixels import decode_scaled
from tests.pictures import photograph, photograph_pixels


def peak_signal_to_noise(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 200), st.integers(1, 200))
def test_a_size_with_a_crop_is_met_whatever_comes(width: int, height: int, rows: int, columns: int) -> None:
    transform = ImageTransform(resize=[rows, columns], center_crop=True, output="array")
    placement = transform.placement((width, height))
    assert placement.size == (columns, rows)
    assert placement.left >= 0
    assert placement.top >= 0
    assert placement.left + columns <= placement.scaled[0]
    assert placement.top + rows <= placement.scaled[1]


def test_resize_means_the_shortest_side_a_stretch_or_a_cover() -> None:
    picture = Image.fromarray(photograph_pixels(300, 200))
    shapes = {
        "shortest side": ImageTransform(resize=100)(picture).shape,
        "stretched": ImageTransform(resize=[50, 60])(picture).shape,
        "covered": ImageTransform(resize=[64, 64], center_crop=True)(picture).shape,
        "crop alone": ImageTransform(center_crop=[32, 48])(picture).shape,
        "crop larger than the picture": ImageTransform(center_crop=400)(picture).shape,
    }
    assert {name: tuple(shape) for name, shape in shapes.items()} == {
        "shortest side": (3, 100, 150),
        "stretched": (3, 50, 60),
        "covered": (3, 64, 64),
        "crop alone": (3, 32, 48),
        "crop larger than the picture": (3, 400, 400),
    }


def test_values_are_in_the_range_that_was_asked_for() -> None:
    picture = Image.fromarray(np.array([[[0, 128, 255]]], np.uint8))
    plain = ImageTransform()(picture)
    assert plain.dtype == torch.float32
    assert torch.allclose(plain.flatten(), torch.tensor([0, 128 / 255, 1]))
    assert torch.allclose(
        ImageTransform(normalize=True)(picture).flatten(), torch.tensor([-1, 0.00392157, 1]), atol=1e-6
    )
    own = ImageTransform(normalize=[[0.5, 0.4, 0.3], [0.1, 0.2, 0.5]])(picture).flatten()
    assert torch.allclose(own, torch.tensor([-5.0, (128 / 255 - 0.4) / 0.2, 1.4]), atol=1e-5)


def test_flipping_mirrors_about_the_share_that_was_asked_for() -> None:
    pixels = photograph_pixels(8, 8)
    flip = ImageTransform(horizontal_flip=0.25, output="array")
    results = [flip(pixels, random.Random(seed)) for seed in range(400)]
    mirrored = [result for result in results if (result == pixels[:, ::-1]).all()]
    assert 70 < len(mirrored) < 130
    assert all((result == pixels).all() or (result == pixels[:, ::-1]).all() for result in results)


def test_random_crops_are_pieces_of_the_picture_at_many_places() -> None:
    pixels = photograph_pixels(40, 30)
    crop = ImageTransform(random_crop=[10, 10], output="array")
    places = set()
    for seed in range(60):
        result, placement = crop.with_placement(pixels, random.Random(seed))
        places.add((placement.left, placement.top))
        assert (result == pixels[placement.top :, placement.left :][:10, :10]).all()
    assert len(places) > 30


@pytest.mark.parametrize("size", [(70, 50), (128, 96), (255, 190), (300, 225)])
def test_fast_reduction_is_the_same_to_the_eye_as_a_slow_one(size: tuple[int, int]) -> None:
    pixels = photograph_pixels(512, 384, 5)
    slow = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    assert peak_signal_to_noise(resized(pixels, size), slow) > 36


def test_a_large_jpeg_is_decoded_at_a_reduced_size_and_looks_the_same() -> None:
    body = photograph(1600, 1200, 2, quality=90)
    transform = ImageTransform(resize=[128, 128], center_crop=True, output="array")
    reduced = decode_scaled(body, transform.scaled_size)
    assert reduced.shape == (128, 171, 3)
    whole = transform(decode_image(body))
    assert peak_signal_to_noise(transform(reduced), whole) > 34


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tga"])
@pytest.mark.parametrize("size", [(40, 30), (100, 20), (200, 150)])
def test_scaling_while_decoding_is_as_decoding_and_then_scaling(
    tmp_path, ending: str, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = {} if ending == "tga" else {"exif": exif}
    path = tmp_path / f"a.{ending}"
    Image.fromarray(photograph_pixels(160, 120, 4)).save(path, quality=90, **turned)
    picture = decode_image(path.read_bytes())
    asked: list[tuple[int, int]] = []

    def scaled_size(original: tuple[int, int]) -> tuple[int, int]:
        asked.append(original)
        return size

    pixels = decode_scaled(path.read_bytes(), scaled_size)
    assert set(asked) == {picture.size} == {(160, 120) if ending == "tga" else (120, 160)}
    assert peak_signal_to_noise(pixels, resized(np.asarray(picture), size)) > 34


def test_a_cut_file_says_so_while_it_is_scaled() -> None:
    body = photograph(160, 120, 4)
    with pytest.raises(DecodeFailed, match="truncated"):
        decode_scaled(body[: len(body) // 2], lambda size: (40, 30))
    with pytest.raises(DecodeFailed, match=r"too large: pixels \(160x120\)"):
        decode_scaled(body, lambda size: (40, 30), max_pixels=10_000)


def test_the_size_in_the_header_is_that_of_the_upright_picture(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    body = (tmp_path / "a.jpg").read_bytes()
    assert image_size(body) == (20, 30) == decode_image(body).size


@pytest.mark.parametrize(
    "arguments",
    [
        {"resize": 0},
        {"resize": [1, 2, 3]},
        {"center_crop": True},
        {"horizontal_flip": 2},
        {"normalize": [0.5, 0]},
        {"output": "jpeg"},
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(arguments))):
        ImageTransform(**arguments)


@pytest.mark.parametrize(
    "file_format", ["PNG", "BMP", "PPM", "TGA", "GIF", "WEBP", "TIFF", "ICO", "PCX", "SGI"]
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", None])
def test_a_picture_is_what_pillow_reads_from_its_file(file_format: str, mode: str | None) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph_pixels(64, 48)).save(buffer, file_format)
    expected = Image.open(io.BytesIO(buffer.getvalue()))
    expected = expected if mode is None else expected.convert("RGB").convert(mode)
    picture = decode_image(buffer.getvalue(), mode)
    assert picture.mode == expected.mode
    assert picture.size == image_size(buffer.getvalue()) == expected.size
    assert np.array_equal(np.asarray(picture), np.asarray(expected))

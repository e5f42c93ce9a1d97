"""Regions are blurred as the ImageNet face obfuscation does it, against that method written with NumPy."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from img2dataset.imaging.blur import blur_boxes
from tests.imaging.odd_files import failure, process, psnr, saved, with_orientation
from tests.imaging.odd_files import stored as stored_with
from tests.pictures import photograph_pixels

PICTURE = photograph_pixels(300, 200, 4)
BODY = saved(PICTURE, "PNG")
BOXES = [
    pytest.param([[0.2, 0.3, 0.6, 0.7]], id="one box"),
    pytest.param([[0.1, 0.1, 0.2, 0.2], [0.6, 0.5, 0.9, 0.9]], id="two far apart, of two sizes"),
    pytest.param([[0.2, 0.2, 0.5, 0.5], [0.4, 0.4, 0.7, 0.6]], id="two that overlap"),
    pytest.param([[0.9, 0.9, 1, 1], [0, 0, 0.1, 0.2]], id="at the edges"),
    pytest.param([[0.1 * n, 0.3, 0.1 * n + 0.05, 0.4] for n in range(10)], id="a row of faces"),
]


# As the option's default: the exact mode has tests of its own in ``test_exact_blur.py``.
stored = functools.partial(stored_with, exact_resize=False)


def obfuscated(pixels: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
    """The method on the whole image at once: the blurred image where the blurred mask is white."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width, *(1,) * (pixels.ndim - 2)))
    sides = [max((x1 - x0) * width, (y1 - y0) * height) for x0, y0, x1, y1 in boxes]
    for (x0, y0, x1, y1), side in zip(boxes, sides, strict=True):
        rows = slice(max(0, math.floor(y0 * height - side / 10)), math.ceil(y1 * height + side / 10))
        columns = slice(max(0, math.floor(x0 * width - side / 10)), math.ceil(x1 * width + side / 10))
        mask[rows, columns] = 1
    share = gaussian(mask, max(sides) / 10)
    return np.rint(pixels * (1 - share) + gaussian(pixels, max(sides) / 10) * share).astype(np.uint8)


def gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted sums down and across, to four sigma, the edges going on beyond the image."""
    reach = math.ceil(4 * sigma)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    blurred = values.astype(float)
    for axis in (0, 1):
        length = blurred.shape[axis]
        margins = [(reach, reach) if other == axis else (0, 0) for other in range(blurred.ndim)]
        wide = np.moveaxis(np.pad(blurred, margins, mode="edge"), axis, 0)
        blurred = sum(weight * wide[n : n + length] for n, weight in enumerate(weights / weights.sum()))
        blurred = np.moveaxis(blurred, 0, axis)
    return blurred


@pytest.mark.parametrize("boxes", BOXES)
def test_boxes_are_blurred_as_the_reference_does(boxes):
    made, expected = stored(BODY, boxes), obfuscated(PICTURE, boxes)
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert psnr(made, expected) > 58


@pytest.mark.parametrize("boxes", BOXES)
def test_blurring_the_small_image_is_blurring_the_large_one(boxes):
    blurred_first = saved(obfuscated(PICTURE, boxes), "PNG")
    for mode in ("border", "center_crop", "keep_ratio"):
        settings = {"resize_mode": mode, "image_size": 100}
        assert psnr(stored(BODY, boxes, **settings), stored(blurred_first, **settings)) > 44


@pytest.mark.parametrize("boxes", BOXES)
def test_what_was_in_a_box_cannot_be_seen(boxes):
    """Stripes of black and white are gone from the middle of the boxes, and stand outside of all."""
    stripes = np.tile(np.where(np.arange(1200) // 4 % 2, 255, 0).astype(np.uint8), (800, 1))
    made = stored(saved(stripes, "PNG"), boxes).astype(int)
    sides = [(x0 * 1200, y0 * 800, (x1 - x0) * 1200, (y1 - y0) * 800) for x0, y0, x1, y1 in boxes]
    largest = max(max(width, height) for _, _, width, height in sides)
    for left, top, width, height in sides:
        # One Gaussian for all is the method: it washes out boxes that are much smaller than the largest.
        if max(width, height) < largest / 2:
            continue
        columns = slice(math.floor(left + width / 4), math.ceil(left + width * 3 / 4))
        rows = slice(math.floor(top + height / 4), math.ceil(top + height * 3 / 4))
        assert np.ptp(made[rows, columns]) < 40
    assert np.ptp(made[790:, 500:600]) == 255


def test_pixels_out_of_reach_stay_as_they_are():
    made = stored(BODY, [[0.4, 0.4, 0.5, 0.5]])
    changed = np.argwhere((made != PICTURE).any(axis=2))
    # The longer side is 30 pixels: grown by 3, and a Gaussian of 3 reaches 9 further.
    assert changed.min(axis=0).tolist() >= [80 - 12, 120 - 12]
    assert changed.max(axis=0).tolist() <= [100 + 12, 150 + 12]


def test_wide_gaussians_done_on_a_smaller_picture_look_the_same():
    picture, boxes = photograph_pixels(900, 600, 4), [[0, 0.1, 0.9, 1]]
    assert psnr(stored(saved(picture, "PNG"), boxes), obfuscated(picture, boxes)) > 52


@pytest.mark.parametrize("boxes", [None, [], [[0.5, 0.5, 0.5, 0.5]], np.zeros((0, 4))])
def test_nothing_to_blur_changes_nothing(boxes):
    assert np.array_equal(stored(BODY, boxes), PICTURE)


def test_grey_images_are_blurred_and_stay_grey():
    made = stored(saved(PICTURE[:, :, 0], "PNG"), [[0.2, 0.3, 0.6, 0.7]])
    assert made.ndim == 2
    assert psnr(made, obfuscated(PICTURE[:, :, 0], [[0.2, 0.3, 0.6, 0.7]])) > 58


def test_pixels_that_cannot_be_written_are_not_written():
    pixels = PICTURE[:, :, ::-1].copy()
    pixels.setflags(write=False)
    before = pixels.copy()
    assert not np.array_equal(blur_boxes(pixels, [(0.2, 0.3, 0.6, 0.7)]), before)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_lie_on_the_stored_image_whether_it_is_turned_or_not(orientation):
    body = saved(PICTURE, "PNG", exif=with_orientation(orientation))
    boxes = [[0.1, 0.2, 0.3, 0.5]]
    as_stored = stored(body, boxes, apply_orientation=False)
    assert psnr(as_stored, obfuscated(PICTURE, boxes)) > 58
    turned = stored(saved(as_stored, "PNG", exif=with_orientation(orientation)))
    assert psnr(stored(body, boxes), turned) > 50


@pytest.mark.parametrize(
    "boxes",
    [
        [[0.2, 0.3, 0.6]],
        [[0.2, 0.3, 0.6, 0.7, 0.8]],
        [[0.6, 0.3, 0.2, 0.7]],
        [[0.2, 0.7, 0.6, 0.3]],
        [[-0.1, 0, 0.5, 0.5]],
        [[0, 0, 1.01, 1]],
        [[float("nan"), 0, 1, 1]],
        [[0, 0, float("inf"), 1]],
        [[None, 0, 1, 1]],
        [["a", 0, 1, 1]],
        [[10**400, 0, 1, 1]],
        [None],
        [0.1, 0.2, 0.3, 0.4],
        5,
        [[0.1, 0.1, 0.2, 0.2], [0.5, 0.5]],
    ],
)
def test_a_box_that_is_not_four_ordered_numbers_in_0_1_fails_its_row(boxes):
    assert failure(BODY, boxes) == "invalid bbox"


def test_an_invalid_box_is_named_before_the_image_is_looked_at():
    assert failure(b"no image", [[2, 2, 2, 2]]) == "invalid bbox"


def test_a_blurred_image_is_not_kept_as_it_came():
    body = saved(PICTURE, "JPEG", quality=95)
    made = process(body, [[0.2, 0.3, 0.6, 0.7]], resize_mode="no", skip_reencode=True)
    assert bytes(made.image) != body

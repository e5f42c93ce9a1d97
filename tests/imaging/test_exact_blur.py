"""In exact mode regions are blurred as img2dataset 1.47.0 did: rows that it wrote, and a rule for the rest.

That whole datasets are the same byte for byte is what ``make differential`` shows.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.imaging.odd_files import process, saved, stored, with_orientation
from tests.pictures import photograph_pixels

# Columns of 16 and 240, two pixels wide, 60 x 40; what 1.47.0 makes of it with OpenCV 4.14 is below.
STRIPES = np.tile(np.where(np.arange(60) // 2 % 2, 240, 16).astype(np.uint8), (40, 1))
MIDDLE = [[0.25, 0.25, 0.75, 0.75]]
MIDDLE_ROW_20 = [
    *(16, 16, 240, 240, 16, 16, 240, 240, 16, 19, 225, 202, 83, 106, 138, 135, 121, 121, 135, 135),
    *(121, 121, 135, 135, 121, 121, 135, 135, 121, 121, 135, 135, 121, 121, 135, 135, 121, 121, 135, 135),
    *(121, 121, 135, 135, 121, 117, 149, 172, 53, 30, 236, 240, 16, 16, 240, 240, 16, 16, 240, 240),
]
MIDDLE_COLUMN_30 = [
    *(240, 240, 240, 240, 236, 225, 202, 172, 149, 138, 135, 135, 135, 135, 135, 135, 135, 135, 135, 135),
    *(135, 135, 135, 135, 135, 135, 135, 135, 135, 135, 138, 149, 172, 202, 225, 236, 240, 240, 240, 240),
]
WHOLE_ROW_20 = [
    *(105, 108, 115, 120, 124, 126, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128),
    *(127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128),
    *(127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 128, 128, 127, 127, 131, 135, 126, 126, 162, 166),
]
# Of a level: 32-bit floats, and for kernels of up to nine OpenCV has rounded ones in a table.
ROUNDING = 0.05
PICTURE = photograph_pixels(211, 160, 6)
BOXES = [
    pytest.param([[0.2, 0.3, 0.6, 0.7]], id="one box"),
    pytest.param([[0.1, 0.1, 0.2, 0.2], [0.6, 0.5, 0.9, 0.9]], id="two of two sizes"),
    pytest.param([[0.9, 0.9, 1, 1], [0, 0, 0.1, 0.2]], id="at the edges"),
    pytest.param([[0, 0, 1, 1]], id="everything"),
    pytest.param([[0.5, 0.5, 0.505, 0.505]], id="one pixel"),
]


def rule(pixels: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
    """1.47.0's pixels before they are cut to whole numbers, in 64-bit floats."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width, 1))
    largest = 0
    for x0, y0, x1, y1 in boxes:
        left, top, right, bottom = int(x0 * width), int(y0 * height), int(x1 * width), int(y1 * height)
        side = max(right - left, bottom - top)
        largest = max(largest, side)
        rows = slice(max(0, int(top - side / 10)), min(height - 1, int(bottom + side / 10)))
        mask[rows, max(0, int(left - side / 10)) : min(width - 1, int(right + side / 10))] = 1
    reach = math.ceil(largest / 10)
    share = gaussian(mask, reach)
    return pixels * (1 - share) + gaussian(pixels, reach) * share


def gaussian(values: np.ndarray, reach: int) -> np.ndarray:
    """The sigma that OpenCV documents for a kernel of a given size; edges mirrored without themselves."""
    sigma = 0.3 * (reach - 1) + 0.8
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    blurred = values.astype(float)
    for axis in (0, 1):
        length = blurred.shape[axis]
        margins = [(reach, reach) if other == axis else (0, 0) for other in range(blurred.ndim)]
        wide = np.moveaxis(np.pad(blurred, margins, mode="reflect"), axis, 0)
        blurred = sum(weight * wide[n : n + length] for n, weight in enumerate(weights / weights.sum()))
        blurred = np.moveaxis(blurred, 0, axis)
    return blurred


def test_pixels_are_those_that_1_47_0_wrote():
    middle = stored(saved(STRIPES, "PNG"), MIDDLE, exact_resize=True)
    assert middle[20].tolist() == MIDDLE_ROW_20
    assert middle[:, 30].tolist() == MIDDLE_COLUMN_30
    assert stored(saved(STRIPES, "PNG"), [[0, 0, 1, 1]], exact_resize=True)[20].tolist() == WHOLE_ROW_20


def test_colour_is_blurred_as_grey_is():
    made = stored(saved(np.dstack([STRIPES] * 3), "PNG"), MIDDLE, exact_resize=True)
    assert [pixel.tolist() for pixel in made[20]] == [[value] * 3 for value in MIDDLE_ROW_20]


@pytest.mark.parametrize("boxes", BOXES)
def test_pixels_are_those_of_the_rule_cut_to_whole_numbers(boxes):
    made, exact = stored(saved(PICTURE, "PNG"), boxes, exact_resize=True), rule(PICTURE, boxes)
    assert np.abs(made - exact + 0.5).max() < 0.5 + ROUNDING
    assert not np.array_equal(made, PICTURE)


@pytest.mark.parametrize("boxes", [None, [], [[0.5, 0.5, 0.5, 0.5]], [[0.5, 0.5, 0.501, 0.501]]])
def test_nothing_to_blur_changes_nothing(boxes):
    assert np.array_equal(stored(saved(PICTURE, "PNG"), boxes, exact_resize=True), PICTURE)


def test_the_small_image_is_blurred_before_its_pads_are_added():
    small = {"resize_mode": "border", "image_size": 64, "exact_resize": True}
    blurred = stored(saved(PICTURE, "PNG"), [[0, 0, 1, 1]], **small)
    plain = stored(saved(PICTURE, "PNG"), **small)
    height = round(160 * 64 / 211)
    top = (64 - height) // 2
    assert np.array_equal(blurred[:top], plain[:top])
    assert np.array_equal(blurred[top + height :], plain[top + height :])
    inside = blurred[top : top + height]
    assert np.abs(inside - rule(plain[top : top + height], [[0, 0, 1, 1]]) + 0.5).max() < 0.5 + ROUNDING


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_left_alone_leaves_the_boxes_where_they_are(orientation):
    body = saved(PICTURE, "PNG", exif=with_orientation(orientation))
    made = stored(body, [[0.1, 0.2, 0.3, 0.5]], exact_resize=True, apply_orientation=False)
    assert np.abs(made - rule(PICTURE, [[0.1, 0.2, 0.3, 0.5]]) + 0.5).max() < 0.5 + ROUNDING


def test_the_blur_is_a_third_as_wide_as_without_exact_mode():
    edge = np.repeat(np.repeat([[0, 255]], 150, axis=1), 300, axis=0).astype(np.uint8)
    widths = []
    for exact in (True, False):
        row = stored(saved(edge, "PNG"), [[0.1, 0.1, 0.9, 0.9]], exact_resize=exact)[150]
        widths.append(int(np.count_nonzero((row > 25) & (row < 230))))
    assert widths[1] / widths[0] == pytest.approx(3, abs=0.3)


def test_a_blurred_image_is_not_kept_as_it_came():
    """1.47.0 keeps it, faces and all: the one thing of its blur that is not done as it was."""
    body = saved(PICTURE, "PNG")
    made = process(
        body,
        MIDDLE,
        resize_mode="no",
        encode_format="png",
        encode_quality=1,
        skip_reencode=True,
        exact_resize=True,
    )
    assert bytes(made.image) != body

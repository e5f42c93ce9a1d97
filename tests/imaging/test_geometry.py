"""What size, what crop, what pad: the figures were read off img2dataset 1.47.0's output."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.imaging.geometry import plan_resize
from img2dataset.options.images import ResizeMode

sides = st.integers(1, 5000)
modes = st.sampled_from(get_args(ResizeMode))


@pytest.mark.parametrize(
    ("size", "image_size", "expected"),
    [
        ((100, 51), 64, (125, 64)),
        ((127, 129), 64, (64, 65)),
        ((40, 63), 64, (64, 101)),
        ((500, 3), 64, (10667, 64)),
        ((1, 300), 64, (64, 19200)),
        ((128, 129), 64, (64, 64)),  # 64.5 goes to the even 64
        ((128, 131), 64, (64, 66)),  # 65.5 goes to the even 66
        ((27, 24), 100, (113, 100)),  # 27 x (100 / 24) is a little above 112.5
        ((51, 24), 100, (213, 100)),
        ((24, 387), 100, (100, 1613)),
    ],
)
def test_keep_ratio_brings_the_shortest_side_to_image_size(size, image_size, expected):
    assert plan_resize(*size, image_size, "keep_ratio", False).scaled == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 51), (64, 33)),
        ((200, 33), (64, 11)),
        ((3, 500), (1, 64)),  # 0.4 pixels are one
        ((300, 1), (64, 1)),
        ((2, 3), (43, 64)),
        ((512, 12), (64, 2)),  # 1.5 goes to the even 2
        ((512, 20), (64, 2)),  # 2.5 goes to the even 2
        ((640, 15), (64, 2)),
    ],
)
@pytest.mark.parametrize("mode", ["keep_ratio_largest", "border"])
def test_keep_ratio_largest_and_border_bring_the_longest_side_to_image_size(size, expected, mode):
    assert plan_resize(*size, 64, mode, False).scaled == expected


def test_border_is_centred_with_the_odd_pixel_after_the_image():
    assert plan_resize(100, 51, 64, "border", False).pad == (15, 16, 0, 0)
    assert plan_resize(51, 100, 64, "border", False).pad == (0, 0, 15, 16)
    assert plan_resize(64, 64, 64, "border", False).pad is None


def test_centre_crop_is_centred_with_the_odd_pixel_cut_after_it():
    assert plan_resize(100, 51, 64, "center_crop", False).crop == (30, 0, 64, 64)
    assert plan_resize(51, 100, 64, "center_crop", False).crop == (0, 30, 64, 64)
    assert plan_resize(64, 64, 64, "center_crop", False).crop is None


@pytest.mark.parametrize("mode", ["border", "keep_ratio_largest"])
@pytest.mark.parametrize(("size", "untouched"), [((64, 20), True), ((64, 64), True), ((65, 64), False)])
def test_only_if_bigger_looks_at_the_longest_side_for_border_and_keep_ratio_largest(mode, size, untouched):
    assert plan_resize(*size, 64, mode, True).untouched is untouched


@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop"])
@pytest.mark.parametrize(("size", "untouched"), [((200, 64), True), ((3, 500), True), ((65, 65), False)])
def test_only_if_bigger_looks_at_the_shortest_side_for_keep_ratio_and_center_crop(mode, size, untouched):
    assert plan_resize(*size, 64, mode, True).untouched is untouched


def test_an_image_of_the_right_size_is_scaled_to_itself_but_not_untouched():
    plan = plan_resize(64, 64, 64, "border", False)
    assert plan.scaled == (64, 64)
    assert not plan.untouched


@given(sides, sides)
def test_no_leaves_every_image_alone(width, height):
    plan = plan_resize(width, height, 256, "no", False)
    assert plan.untouched
    assert (plan.scaled, plan.crop, plan.pad) == ((width, height), None, None)


@given(sides, sides, st.integers(1, 1024), modes, st.booleans())
def test_an_untouched_image_keeps_its_size(width, height, image_size, mode, only_if_bigger):
    plan = plan_resize(width, height, image_size, mode, only_if_bigger)
    if plan.untouched:
        assert (plan.scaled, plan.crop, plan.pad) == ((width, height), None, None)


@given(sides, sides, st.integers(1, 1024))
def test_border_and_center_crop_always_give_a_square(width, height, image_size):
    border = plan_resize(width, height, image_size, "border", False)
    top, bottom, left, right = border.pad or (0, 0, 0, 0)
    assert (border.scaled[0] + left + right, border.scaled[1] + top + bottom) == (image_size, image_size)
    assert 0 <= bottom - top <= 1
    assert 0 <= right - left <= 1

    crop = plan_resize(width, height, image_size, "center_crop", False)
    left, top, crop_width, crop_height = crop.crop or (0, 0, *crop.scaled)
    assert (crop_width, crop_height) == (image_size, image_size)
    assert left >= 0
    assert left + crop_width <= crop.scaled[0]
    assert top >= 0
    assert top + crop_height <= crop.scaled[1]


@given(sides, sides, st.integers(1, 1024), st.sampled_from(["keep_ratio", "keep_ratio_largest"]))
def test_the_ratio_is_kept_to_half_a_pixel(width, height, image_size, mode):
    plan = plan_resize(width, height, image_size, mode, False)
    deciding = min(width, height) if mode == "keep_ratio" else max(width, height)
    assert plan.shrinks is (deciding > image_size)
    for side, scaled in zip((width, height), plan.scaled, strict=True):
        exact = side * image_size / deciding
        assert abs(scaled - exact) <= 0.5 + 1e-6 or (exact < 0.5 and scaled == 1)
    assert image_size in plan.scaled


@given(sides, sides, st.integers(1, 1024), modes, st.booleans())
def test_turning_the_image_turns_the_plan(width, height, image_size, mode, only_if_bigger):
    plan = plan_resize(width, height, image_size, mode, only_if_bigger)
    turned = plan_resize(height, width, image_size, mode, only_if_bigger)
    assert turned.scaled == plan.scaled[::-1]
    assert turned.untouched is plan.untouched

"""What varies a caption, and that the same seed varies it the same way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.errors import OptionError
from img2dataset.training import AddText, CaptionTransforms, DropCaption, DropParts, ShuffleParts


def test_dropping_empties_the_share_of_captions_that_was_asked_for() -> None:
    drop = DropCaption(0.3, seed=1)
    dropped = sum(drop("a cat") == "" for _ in range(2000))
    assert 500 < dropped < 700


@settings(deadline=None)
@given(st.lists(st.text("abc ", min_size=1).filter(str.strip), max_size=8), st.integers(0, 9), st.integers())
def test_shuffling_keeps_every_part_and_the_first_in_place(parts: list[str], keep: int, seed: int) -> None:
    shuffled = ShuffleParts(keep_first=keep)(",".join(parts), random.Random(seed))
    result = shuffled.split(", ") if shuffled else []
    stripped = [part.strip() for part in parts]
    assert sorted(result) == sorted(stripped)
    assert result[:keep] == stripped[:keep]


def test_shuffling_does_change_the_order() -> None:
    caption = "a, b, c, d, e, f"
    orders = {ShuffleParts()(caption, random.Random(seed)) for seed in range(50)}
    assert len(orders) > 40


def test_parts_are_left_out_but_not_the_first_ones() -> None:
    drop = DropParts(0.5, keep_first=2)
    results = [drop("a, b, c, d, e, f", random.Random(seed)) for seed in range(400)]
    assert all(result.startswith("a, b") for result in results)
    kept = sum(len(result.split(", ")) - 2 for result in results) / len(results)
    assert 1.7 < kept < 2.3


def test_a_trigger_phrase_is_added_and_dropped_with_the_caption() -> None:
    style = CaptionTransforms(suffix=" in the style of an old map", drop=0.5)
    results = {style("a harbour", random.Random(seed)) for seed in range(50)}
    assert results == {"", "a harbour in the style of an old map"}


def test_transforms_are_joined_in_order_with_functions_too() -> None:
    chain = AddText(prefix="photo, ") >> str.upper >> AddText(suffix="!")
    assert chain("of a cat", random.Random(0)) == "PHOTO, OF A CAT!"


def test_the_same_generator_gives_the_same_caption() -> None:
    vary = CaptionTransforms(drop=0.1, shuffle_parts=0.7, drop_parts=0.2, keep_first=1)
    caption = "a, b, c, d, e"
    once = [vary(caption, random.Random(seed)) for seed in range(100)]
    assert once == [vary(caption, random.Random(seed)) for seed in range(100)]
    assert len(set(once)) > 20


def test_without_a_generator_a_seed_repeats_the_whole_sequence() -> None:
    first, second = ShuffleParts(seed=3), ShuffleParts(seed=3)
    assert [first("a, b, c, d") for _ in range(20)] == [second("a, b, c, d") for _ in range(20)]


@pytest.mark.parametrize(
    "arguments", [{"drop": 1.5}, {"shuffle_parts": -0.1}, {"drop_parts": True}, {"drop": "half"}]
)
def test_what_is_no_probability_is_named(arguments: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(arguments))):
        CaptionTransforms(**arguments)

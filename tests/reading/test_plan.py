"""Shards by place: what the plan says, read where it says, is what reading the list gives."""

from __future__ import annotations

import random

import pytest

from img2dataset.options import InputOptions
from img2dataset.reading import text
from tests.reading.planned import assert_planned_as_read
from tests.reading.random_lists import FORMATS, random_options, write_random_list

LISTS = 60


@pytest.mark.parametrize("input_format", FORMATS)
@pytest.mark.parametrize("block_bytes", [5, 50, 1000, 1 << 20])
def test_shards_by_place_are_those_of_the_list(tmp_path, monkeypatch, input_format, block_bytes):
    monkeypatch.setattr(text, "BLOCK_BYTES", block_bytes)
    shards = 0
    for seed in range(LISTS):
        noise = random.Random(f"{input_format} {block_bytes} {seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        settings = random_options(input_format, noise)
        write_random_list(folder, input_format, settings, noise)
        options = InputOptions(url_list=str(folder), input_format=input_format, **settings)
        skip = set(noise.sample(range(30), noise.choice((0, 0, 10))))
        others = set(range(noise.choice((1000, 1000, 5)), 1100))
        plan = (skip, noise.choice((0, 3)), others)
        try:
            shards += max(0, assert_planned_as_read(options, noise.randint(1, 20), *plan))
        except AssertionError:
            print(f"seed {seed}, {options}")
            raise
    assert shards > LISTS

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.formats import data_endings
from img2dataset.formats.dataset import finished_shard, key_digits, sample_key, shard_name, shard_of

ENDINGS = data_endings()


@pytest.mark.parametrize(
    ("shard_id", "index", "digits", "rows_per_shard", "key"),
    [
        (0, 0, 5, 10000, "000000000"),
        (3, 14, 5, 10000, "000030014"),
        (1, 0, 5, 3, "000010"),
        (2, 0, 5, 1, "00002"),
        (1, 999, 5, 1000, "00001999"),
        (1, 1000, 5, 1001, "000011000"),
        (0, 3, 3, 1000, "000003"),
        (123456, 7, 5, 10, "1234567"),
    ],
)
def test_a_key_is_the_shard_number_then_the_row_in_it(
    shard_id: int, index: int, digits: int, rows_per_shard: int, key: str
) -> None:
    assert sample_key(shard_id, index, digits, rows_per_shard) == key


@given(st.integers(1, 10**9))
def test_the_row_has_the_digits_that_the_last_row_of_a_shard_needs(rows_per_shard: int) -> None:
    digits = key_digits(rows_per_shard)
    assert 10**digits >= rows_per_shard
    assert digits == 0 or 10 ** (digits - 1) < rows_per_shard


@pytest.mark.parametrize("power", range(16))
def test_a_power_of_ten_is_no_matter_of_floating_point(power: int) -> None:
    assert key_digits(10**power) == power == math.ceil(round(math.log10(10**power), 9))


@given(st.integers(1, 2000), st.data())
def test_no_two_rows_have_one_key_and_keys_sort_as_the_rows(rows_per_shard: int, data: st.DataObject) -> None:
    place = st.tuples(st.integers(0, 99999), st.integers(0, rows_per_shard - 1))
    first, second = sorted([data.draw(place), data.draw(place)])
    keys = [sample_key(*place, 5, rows_per_shard) for place in (first, second)]
    assert (keys[0] < keys[1]) == (first < second)
    assert keys == sorted(keys)


def test_shard_names_are_padded_and_never_cut() -> None:
    assert [shard_name(7, 5), shard_name(7, 1), shard_name(1234567, 5)] == ["00007", "7", "1234567"]


@pytest.mark.parametrize(
    ("name", "shard", "finished"),
    [
        ("00012_stats.json", 12, 12),
        ("7_stats.json", 7, 7),
        ("00012.parquet", 12, None),
        ("00012.tar", 12, None),
        ("00012.tfrecord", 12, None),
        ("00012", 12, None),
        ("2023_notes.json", None, None),
        ("00012.tar.gz", None, None),
        ("stats.json", None, None),
        (".tmp", None, None),
    ],
)
def test_a_name_tells_which_shard_it_is_of(name: str, shard: int | None, finished: int | None) -> None:
    assert shard_of(name, ENDINGS) == shard
    assert finished_shard(name) == finished

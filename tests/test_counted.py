"""A count of one has a noun in the singular, every other one in the plural."""

from __future__ import annotations

import pytest

from img2dataset.counted import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_000, "12,000 rows")]
)
def test_a_noun_follows_its_number(count: int, text: str) -> None:
    assert counted(count, "row") == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(n, "success", "successes") for n in (1, 2)] == ["1 success", "2 successes"]

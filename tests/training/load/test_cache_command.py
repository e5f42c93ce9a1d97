"""``img2dataset cache``: its page."""

from __future__ import annotations

import pytest

from img2dataset.training import cache_command


@pytest.mark.parametrize("words", [[], ["--help"], ["stats", "-h"], ["clear", "/no/such/cache", "--help"]])
def test_help_is_a_page_of_eighty_columns(words: list[str]) -> None:
    lines = cache_command(words).splitlines()
    assert lines[0] == "usage: img2dataset cache stats FOLDER"
    assert max(map(len, lines)) <= 80

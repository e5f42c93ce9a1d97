from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import Browser, started_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser

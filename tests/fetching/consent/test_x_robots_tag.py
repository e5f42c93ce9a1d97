"""X-Robots-Tag, as a pure function. The cases marked 1.47.0 were observed by running it."""

from __future__ import annotations

import pytest

from img2dataset.fetching.consent.x_robots_tag import is_opted_out

DISALLOWED = ("noai", "noimageai", "noindex", "noimageindex")


@pytest.mark.parametrize(
    ("values", "without_token", "as_mybot"),
    [
        # As 1.47.0.
        ([], False, False),
        (["noai"], True, True),
        (["NoAI"], True, True),
        (["\tnoai"], True, True),
        (["all, NOIMAGEAI"], True, True),
        (["nofollow", "noindex"], True, True),
        (["nofollow"], False, False),
        ([""], False, False),
        (["no ai"], False, False),
        (["nonoai"], False, False),
        (["mybot: noai"], False, True),
        (["MyBot:noai"], False, True),
        (["mybot: nofollow, noai"], False, True),
        (["otherbot: noai"], False, False),
        (["otherbot: nofollow, noai"], False, False),
        (["mybot: nofollow, otherbot: noai"], False, False),
        # 1.47.0 overlooks these: it takes all before the first colon for one token.
        (["noindex, otherbot: nofollow"], True, True),
        (["otherbot: nofollow, mybot: noai"], False, True),
        (["noindex, unavailable_after: 25 Jun 2010 15:00:00 GMT"], True, True),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex"], True, True),
        (["max-image-preview: none, noai"], True, True),
        (["mybot : noai"], False, True),
        (["*: noai"], True, True),
        # And these: it knows commas alone, and no date.
        (["none"], True, True),
        (["all", "None"], True, True),
        (["otherbot: none"], False, False),
        (["noai; noindex"], True, True),
        (["nofollow;noindex"], True, True),
        (["nofollow noindex"], True, True),
        (["otherbot: nofollow noindex"], False, False),
        (["mybot: nofollow noindex"], False, True),
        (["img2dataset: noindex"], True, False),
        (["IMG2Dataset:nofollow, noai"], True, False),
        (["unavailable_after: 25 Jun 2010 15:00:00 GMT"], True, True),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 GMT"], True, True),
        (["unavailable_after: 2010-06-25T15:00:00Z"], True, True),
        (["unavailable_after:2010-06-25"], True, True),
        (["mybot: unavailable_after: 25 Jun 2010 15:00:00 PST, all"], False, True),
        (["unavailable_after: 25 Jun 2110 15:00:00 GMT"], False, False),
        (["unavailable_after: 2110-06-25, noai"], True, True),
        (["unavailable_after: tomorrow"], False, False),
        (["unavailable_after:"], False, False),
        (["unavailable_after: 99999-99-99, nofollow"], False, False),
        (["max-image-preview: none"], False, False),
        (["max-image-preview:none, max-snippet: -1"], False, False),
    ],
)
def test_directives_exclude_those_they_address(
    values: list[str], without_token: bool, as_mybot: bool
) -> None:
    assert is_opted_out(values, DISALLOWED, None) is without_token
    assert is_opted_out(values, DISALLOWED, "mybot") is as_mybot
    assert is_opted_out(values, DISALLOWED, "MyBot") is as_mybot
    assert not is_opted_out(values, (), "mybot")


def test_only_the_directives_asked_for_exclude() -> None:
    assert is_opted_out(["nofollow"], ("nofollow",), None)
    assert not is_opted_out(["noai"], ("nofollow",), None)

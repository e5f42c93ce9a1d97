"""The column ``consent``: what is no cell of it is told as such, and a column of the list is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from img2dataset.formats.consent_ledger import of_text, position_in

SIGNAL = {
    **{"signal": "x-robots-tag", "where": "header", "value": "noai", "says": "no", "honoured": True},
    "seen": "2026-11-29T10:15:28Z",
}


@pytest.mark.parametrize(
    "cell",
    [
        "[" * 100_000,
        "5",
        '["x"]',
        "[{}]",
        *(json.dumps([{**SIGNAL, name: ["x"]}]) for name in SIGNAL),
        *(json.dumps([{**SIGNAL, name: 5}]) for name in SIGNAL),
        json.dumps([{**SIGNAL, "more": 1}]),
    ],
)
def test_what_is_no_list_of_signals_is_a_value_error(cell: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_text(cell)


def test_a_cell_is_read() -> None:
    (signal,) = of_text(json.dumps([SIGNAL]))
    assert (signal.signal, signal.says, signal.is_honoured) == ("x-robots-tag", "no", True)


@pytest.mark.parametrize(
    ("names", "position"),
    [
        (["caption", "url", "key", "consent"], 3),
        (["consent", "url", "key", "consent"], 3),
        (["consent", "url", "key"], None),
        (["url", "key"], None),
        (["consent"], None),
        ([], None),
    ],
)
def test_only_behind_the_columns_of_the_list_it_is_the_ledger(names: list[Any], position: int | None) -> None:
    assert position_in(names) == position

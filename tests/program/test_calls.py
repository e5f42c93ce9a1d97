"""Calls as public code has them do what 1.47.0 was seen to do: the same are taken, and leave the same files.

``make contract`` runs the table through 1.47.0 itself; here it is held against the record of that.
"""

from __future__ import annotations

import sys

import pytest

from img2dataset.options import POSITIONS
from tests.differential.call_table import CALLS, PLACES
from tests.differential.calls import differences, read_record, rows_kept, run_calls

# Every kind of call is among them; all of the table takes minutes.
SOME = [name for number, name in enumerate(CALLS) if number % 12 == 0]


def test_the_table_has_every_option_and_the_record_every_call() -> None:
    assert PLACES == POSITIONS
    assert CALLS.keys() == read_record().keys()


def test_the_record_is_of_calls_that_made_datasets() -> None:
    made = [name for name, outcome in read_record().items() if outcome["accepted"] and outcome["counts"]]
    assert len(made) > 0.9 * len(CALLS)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(SOME, marks=pytest.mark.timeout(600)),
        pytest.param(list(CALLS), marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
    ids=["some", "all"],
)
def test_a_call_that_1_47_0_took_is_taken_and_leaves_the_same_files(names: list[str]) -> None:
    record = read_record()
    outcomes = run_calls(sys.executable, {name: CALLS[name] for name in names})
    different = {name: differences(name, record[name], outcomes[name]) for name in names}
    assert {name: found for name, found in different.items() if found} == {}
    # What 1.47.0 lost or refused is either refused here or done with every row.
    for name in names:
        assert rows_kept(outcomes[name]), name


def test_calls_with_mistakes_are_refused() -> None:
    wrong = ["an unknown option", "an unknown choice"]
    outcomes = run_calls(sys.executable, {name: CALLS[name] for name in wrong})
    assert [outcomes[name]["accepted"] for name in wrong] == [False, False]

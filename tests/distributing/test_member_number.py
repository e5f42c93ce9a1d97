"""The numbers of the members of a run: no two have the same at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from img2dataset.distributing.member_number import numbered, numbers_folder, remove_numbers
from img2dataset.formats.settings import WriteSettings
from img2dataset.options import resolve
from img2dataset.settings import work_settings


@pytest.fixture
def write(tmp_path: Path) -> WriteSettings:
    return work_settings(resolve({"url_list": "l", "output_folder": str(tmp_path)})).write


@pytest.fixture
def told() -> list[str]:
    """What the user is to know."""
    return []


def test_members_at_once_have_different_numbers_and_later_ones_those_that_are_free(
    write: WriteSettings, told: list[str]
) -> None:
    with numbered(write, "a", 3, 1, told.append) as first, numbered(write, "b", 3, 1, told.append) as second:
        assert (first, second) == (1, 2)
        with numbered(write, "c", 3, 1, told.append) as third:
            assert third == 0
        with numbered(write, "d", 3, 7, told.append) as fourth:
            assert fourth == 0
    with numbered(write, "e", 3, 1, told.append) as again:
        assert again == 1


def test_a_member_that_finds_none_says_so_and_works(write: WriteSettings, told: list[str]) -> None:
    with numbered(write, "a", 1, 0, told.append), numbered(write, "b", 1, 5, told.append, wait_s=0) as second:
        assert second == 0
    assert len(told) == 1
    assert "more connections than their bound" in told[0]


def test_nothing_is_left_of_them_in_the_output_folder(
    write: WriteSettings, told: list[str], tmp_path: Path
) -> None:
    with numbered(write, "a", 2, 0, told.append):
        assert (tmp_path / numbers_folder(write.run_id)).is_dir()
    remove_numbers(write.locate(), write.run_id)
    assert not (tmp_path / numbers_folder(write.run_id)).exists()

"""How many images of which shard a report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from img2dataset.errors import OutputError
from img2dataset.reporting.report.folder import open_folder
from img2dataset.reporting.report.sample import equal_shares, sample_images
from img2dataset.storage.locations import locate
from tests.verifying.datasets import make_dataset


@pytest.mark.parametrize(
    ("images", "shares"),
    [
        ([52, 52, 1], [32, 31, 1]),
        ([1, 52, 52], [1, 32, 31]),
        ([13, 13, 13], [13, 13, 13]),
        ([100, 100], [32, 32]),
        ([0, 3, 100], [0, 3, 61]),
        ([9, 9, 9, 9, 9, 9, 9, 9], [8, 8, 8, 8, 8, 8, 8, 8]),
        ([], []),
    ],
)
def test_shares_are_equal_and_made_up_for(images: list[int], shares: list[int]) -> None:
    by_name = {str(number): count for number, count in enumerate(images)}
    assert sorted(equal_shares(by_name, 64).values()) == sorted(shares)
    assert all(equal_shares(by_name, 64)[name] <= count for name, count in by_name.items())


def sampled(folder: Path, count: int, problems: list[str]) -> list[str]:
    opened = open_folder(locate(str(folder), "OUTPUT", OutputError))
    return [sample.key for sample in sample_images(opened, opened.shards, problems.append, count)]


@pytest.mark.parametrize("cut", ["00000", "00001", "00002"])
def test_other_shards_make_up_for_one_that_is_cut(cut: str, tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    problems: list[str] = []
    images = len(sampled(tmp_path, 100, problems)) // 3
    (tmp_path / f"{cut}.tar").write_bytes((tmp_path / f"{cut}.tar").read_bytes()[:1000])
    assert problems == []
    for count in (images, 2 * images, 100):
        keys = sampled(tmp_path, count, problems)
        assert len(set(keys)) == len(keys) == min(count, 2 * images)
        assert [problem for problem in problems if f"shard {cut}" in problem] == problems
        assert len(problems) == 1
        problems.clear()


def test_small_shards_are_made_up_for_by_more_of_them(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset", shards=12)
    problems: list[str] = []
    assert len({key[:5] for key in sampled(tmp_path, 1000, problems)}) == 12

"""``img2dataset report A B``: what became of rows from one run to another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.report.datasets import rows_of, write_shard
from tests.reporting.report.test_report import command, document_of

A, B = "http://a.example/{}", "http://b.example/{}"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """40 rows in both, in other orders and shards: 5 rot, 3 come back, 2 fail twice, 4 change their bytes."""
    urls = [A.format(n) for n in range(40)]
    before = {A.format(n): "HTTP 503" for n in (10, 11, 12)} | {A.format(n): "HTTP 404" for n in (20, 21)}
    after = {A.format(n): "HTTP 410" for n in range(5)} | {A.format(n): "HTTP 404" for n in (20, 21)}
    only = [B.format(n) for n in range(6)]

    def hashed(urls: list[str], failures: dict[str, str], changed: str) -> list[str | None]:
        changing = {A.format(n) for n in range(30, 34)}
        return [None if url in failures else url + changed * (url in changing) for url in urls]

    first, second = tmp_path / "first", tmp_path / "second"
    for number, part in enumerate((urls[:25], urls[25:] + only[:2] + urls[30:31])):
        write_shard(first, number, rows_of(part, before, sha256=hashed(part, before, "")))
    turned = urls[::-1] + only[2:]
    for number, part in enumerate((turned[:7], turned[7:])):
        write_shard(second, number, rows_of(part, after, sha256=hashed(part, after, "new")))
    return first, second


def check(document: dict[str, Any]) -> None:
    assert document["rows_in_both"] == 40
    assert (document["only_before"], document["only_after"]) == (2, 4)
    assert document["kept"] == 40 - 5 - 3 - 2
    assert document["failed_in_both"] == 2
    assert document["rotted"]["rows"] == 5
    assert document["rotted"]["messages"] == {"HTTP 410": 5}
    assert set(document["rotted"]["examples"]) == {A.format(n) for n in range(5)}
    assert document["came_back"]["rows"] == 3
    assert document["came_back"]["messages"] == {"HTTP 503": 3}
    assert set(document["came_back"]["examples"]) == {A.format(n) for n in (10, 11, 12)}
    assert document["changed"]["hash_column"] == "sha256"
    assert (document["changed"]["compared"], document["changed"]["rows"]) == (30, 4)
    assert set(document["changed"]["examples"]) == {A.format(n) for n in range(30, 34)}


def test_what_rotted_came_back_and_changed(folders: tuple[Path, Path]) -> None:
    check(document_of(*folders))


def test_the_page_and_its_numbers_are_put_into_the_later_folder(folders: tuple[Path, Path]) -> None:
    result = command(*folders)
    assert result.stdout == f"report: {folders[1]}/comparison.html\n"
    check(json.loads((folders[1] / "comparison.json").read_text()))
    page = (folders[1] / "comparison.html").read_text()
    assert "4 of 30 images have another sha256." in page
    assert A.format(3) in page
    assert not (folders[0] / "comparison.html").exists()


def test_by_key(tmp_path: Path) -> None:
    """Where the URLs themselves have changed: those of a list with tokens in them."""
    write_shard(tmp_path / "a", 0, rows_of([f"http://a.example/{n}?old" for n in range(9)]))
    gone = {f"http://a.example/{n}?new": "HTTP 404" for n in range(3)}
    write_shard(tmp_path / "b", 0, rows_of([f"http://a.example/{n}?new" for n in range(9)], gone))
    by_url = document_of(tmp_path / "a", tmp_path / "b")
    assert (by_url["rows_in_both"], by_url["only_after"]) == (0, 9)
    by_key = document_of(tmp_path / "a", tmp_path / "b", "--by", "key")
    assert (by_key["rows_in_both"], by_key["rotted"]["rows"]) == (9, 3)
    assert by_key["rotted"]["examples"] == ["000000000", "000000001", "000000002"]
    assert by_key["changed"]["hash_column"] is None

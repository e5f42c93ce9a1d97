"""Which domain names gave most content: batches of metadata come in, what a summary lists goes out."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from img2dataset.consenting import domains
from img2dataset.consenting.domain_names import domain_name_of
from img2dataset.consenting.domains import Contents


def batch(rows: list[tuple[Any, ...]], **columns: list[Any]) -> pa.RecordBatch:
    """Of rows of URL, status, width and height as they were downloaded."""
    names = ("url", "status", "original_width", "original_height")
    values = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return pa.RecordBatch.from_pydict({**values, **columns})


def contents(*batches: pa.RecordBatch) -> Contents:
    found = Contents()
    for each in batches:
        found.take(each)
    return found


def test_domains_are_ordered_by_the_pixels_of_their_images() -> None:
    found = contents(
        batch(
            [
                ("http://many.example/a", "success", 10, 10),
                ("http://many.example/b", "success", 10, 10),
                ("https://user@www.Large.example:8080/c?x=http://other.example/", "success", 100.0, 100.0),
                ("http://none.example/d", "failed_to_download", None, None),
                ("http://unknown.example/e", "success", math.nan, math.nan),
            ]
        )
    )
    assert [(name, each.images, each.pixels) for name, each in found.by_size()] == [
        ("large.example", 1, 10_000),
        ("many.example", 2, 200),
        ("unknown.example", 1, 0),
    ]
    assert (found.images, found.without_size) == (4, 1)


def test_a_host_has_one_name_however_it_is_written_and_what_has_none_is_no_domain() -> None:
    spellings = [
        "http://bücher.example/a",
        "https://XN--BCHER-KVA.example.:443/b",
        " http://user:pass@bücher.example\\c ",
        "http:\\\\b%C3%BCcher.example/d",
    ]
    none = ["data:image/jpeg;base64,AA//AA==", "data:,http://no.example/", "file:///no/a.jpg", None]
    found = contents(batch([(url, "success", 10, 10) for url in spellings + none]))
    assert [(name, each.images) for name, each in found.by_size()] == [("xn--bcher-kva.example", 4)]
    assert (found.images, found.without_domain, found.domains_count) == (8, 4, 1)


@pytest.mark.parametrize(
    ("count", "of_all", "of_sme"),
    [(1, 1, 1), (10, 1, 1), (11, 2, 1), (20, 2, 1), (21, 3, 2), (30_000, 3000, 1000)],
)
def test_a_tenth_is_listed_and_of_small_providers_a_twentieth_or_a_thousand(
    count: int, of_all: int, of_sme: int
) -> None:
    found = contents(batch([(f"http://{n}.example/", "success", 1 + n, 1) for n in range(count)]))
    assert len(found.top(of_sme=False)) == of_all
    assert len(found.top(of_sme=True)) == of_sme
    assert found.top(of_sme=True)[0][0] == f"{count - 1}.example"


def test_captions_are_counted_by_script_without_empty_ones_and_those_of_failures() -> None:
    rows = [(f"http://a.example/{n}", "success", 1, 1) for n in range(4)]
    rows.append(("http://a.example/", "failed_to_download", 1, 1))
    found = contents(batch(rows, caption=["a cat", "кошка", "", None, "a dog"]))
    assert (found.captions, dict(found.scripts)) == (2, {"Latin": 1, "Cyrillic": 1})


def test_stored_sizes_stand_in_and_metadata_without_sizes_count_images() -> None:
    rows = {"url": ["http://a.example/"], "status": ["success"]}
    stored = pa.RecordBatch.from_pydict({**rows, "width": [3], "height": [4]})
    assert contents(stored).by_size()[0][1].pixels == 12
    assert contents(pa.RecordBatch.from_pydict(rows)).by_size()[0][1].images == 1


def test_of_too_many_domains_those_that_gave_least_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "MOST_DOMAINS", 8)
    whole = Contents()
    for start in (0, 6):
        part = contents(
            batch([(f"http://{n}.example/", "success", n + 1, 1) for n in range(start, start + 6)])
        )
        whole.add(part)
    assert [name for name, _ in whole.by_size()] == [f"{n}.example" for n in range(11, 5, -1)]
    assert (whole.given_up, whole.domains_count) == (6, 12)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("upload.wikimedia.org", "wikimedia.org"),
        ("wikimedia.org.", "wikimedia.org"),
        ("www.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("a.blogspot.com", "blogspot.com"),
        ("images.xn--bcher-kva.xn--fiqs8s", "xn--bcher-kva.xn--fiqs8s"),
        ("bilder.bücher.de", "bücher.de"),
        ("a.b.unheard-of", "b.unheard-of"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("a..b", "a..b"),
        ("", ""),
    ],
)
def test_the_name_that_somebody_registered_is_found(host: str, name: str) -> None:
    assert domain_name_of(host) == name


def test_hosts_below_one_domain_name_are_one() -> None:
    found = contents(
        batch([(f"https://{n}.images.example.org/a", "success", 10, 10) for n in range(5)]),
        batch([("https://example.org/b", "success", 10, 10), ("https://www.example.org/", "success", 1, 1)]),
    )
    assert [(name, each.images) for name, each in found.by_size()] == [("example.org", 7)]

"""What sites say of training counts on every engine as it does on one machine, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributing.command_line import MEMBERS, Runs, by_ranks, locally, ray, spark
from tests.imaging.consent.builders import jpeg, saying, xmp_segment
from tests.pictures import photograph
from tests.program.contract import rows_of
from tests.servers import ImageServer

__all__ = ["ray", "spark"]  # fixtures

pytestmark = pytest.mark.timeout(600)
HOSTS, ROWS, ROWS_PER_SHARD = 30, 360, 12
ROBOTS, TDMREP, LICENCE = "/robots.txt", "/.well-known/tdmrep.json", "/licence.xml"
FILES = (ROBOTS, TDMREP, LICENCE)
PROHIBITS = """<rsl xmlns="https://rslstandard.org/rsl"><content url="/licensed">
<license><prohibits type="usage">ai-train</prohibits></license></content></rsl>"""


@pytest.fixture
def site() -> Iterator[ImageServer]:
    """A site that says no in every way, under many names."""
    with ImageServer() as server:
        robots = f"License: {server.url(LICENCE)}\nUser-agent: *\nDisallow: /no\n"
        server.put(ROBOTS, robots.encode(), "text/plain")
        server.put(TDMREP, b'[{"location": "/reserved", "tdm-reservation": 1}]', "application/json")
        server.put(LICENCE, PROHIBITS.encode(), "application/rsl+xml")
        yield server


@pytest.fixture
def options(site: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return strict_options(site, tmp_path)


def strict_options(site: ImageServer, tmp_path: Path) -> dict[str, Any]:
    """Those of a run that heeds and keeps all that the site says, over a list of its images."""
    picture = photograph(80, 60)
    prohibited = jpeg(xmp_segment(saying("DMI-PROHIBITED")))
    for name in ("free", "no", "reserved", "licensed"):
        site.put(f"/{name}.jpg", picture)
    site.put("/header.jpg", picture, headers=[("X-Robots-Tag", "noai")])
    site.put("/tdm.jpg", picture, headers=[("tdm-reservation", "1")])
    site.put("/price.jpg", b"", status=402, headers=[("crawler-price", "USD 0.01")])
    site.put("/picture.jpg", prohibited)
    names = ("free", "no", "header", "reserved", "picture", "licensed", "tdm", "price", "missing")
    urls = [
        site.url(f"/{names[n % len(names)]}.jpg?{n}", host=f"h{n * 7 % HOSTS}.localhost") for n in range(ROWS)
    ]
    (tmp_path / "list.txt").write_text("".join(f"{url}\n" for url in urls))
    return {
        "url_list": tmp_path / "list.txt",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "image_size": 32,
        "consent": "strict",
        "save_consent": True,
    }


def decisions(folder: Path) -> list[tuple[Any, ...]]:
    """Of each row, what became of it and every signal that was seen, but when."""
    found = []
    for row in sorted(rows_of(folder), key=lambda row: row["key"]):
        signals = [
            tuple(each[name] for name in ("signal", "where", "value", "says", "honoured"))
            for each in json.loads(row["consent"] or "[]")
        ]
        found.append((row["key"], row["url"], row["status"], row["error_message"], signals))
    return found


def asked(site: ImageServer) -> list[int]:
    return [site.count(path) for path in FILES]


def assert_same_decisions(runs: Runs, site: ImageServer, options: dict[str, Any], tmp_path: Path) -> None:
    locally({**options, "output_folder": tmp_path / "alone"})
    alone = asked(site)
    assert alone == [HOSTS, HOSTS, 1]
    expected = decisions(tmp_path / "alone")
    assert len(expected) == ROWS
    assert len({row[3] for row in expected}) >= 8, {row[3] for row in expected}
    out = {**options, "output_folder": tmp_path / "out"}
    runs(out)
    first = [now - before for now, before in zip(asked(site), alone, strict=True)]
    assert decisions(tmp_path / "out") == expected
    # Once a member, whatever the number of shards.
    assert all(once <= count <= MEMBERS * once for once, count in zip(alone, first, strict=True)), first
    for statistics in sorted((tmp_path / "out").glob("*_stats.json"))[::2]:
        statistics.unlink()
    before = asked(site)
    runs(out)
    assert asked(site) == before
    assert decisions(tmp_path / "out") == expected


def test_ranks_decide_as_one_machine_does(site: ImageServer, options: dict[str, Any], tmp_path: Path) -> None:
    assert_same_decisions(by_ranks, site, options, tmp_path)


@pytest.mark.slow
def test_spark_decides_as_one_machine_does(
    spark: Runs, site: ImageServer, options: dict[str, Any], tmp_path: Path
) -> None:
    assert_same_decisions(spark, site, options, tmp_path)


@pytest.mark.slow
def test_ray_decides_as_one_machine_does(
    ray: Runs, site: ImageServer, options: dict[str, Any], tmp_path: Path
) -> None:
    assert_same_decisions(ray, site, options, tmp_path)

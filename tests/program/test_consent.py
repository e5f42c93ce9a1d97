"""``--consent``, through the whole program: which signals of a site count, and what it costs the site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.imaging.consent.builders import jpeg, png, saying, training, webp, xmp_segment
from tests.imaging.odd_files import png_chunk
from tests.pictures import photograph
from tests.program.runs import run, run_here
from tests.servers import ImageServer

PICTURE = photograph(160, 120, seed=6)
TDMREP_PATH = "/.well-known/tdmrep.json"
# What each picture of the site stands for, and its headers.
HEADERS = {
    "plain": [],
    "noai": [("X-Robots-Tag", "noai")],
    "noml": [("X-Robots-Tag", "noml")],
    "usage": [("Content-Usage", "train-ai=n")],
    "tdm": [("tdm-reservation", "1")],
    "signal": [],
    "rule": [],
    "file": [],
    "disallowed": [],
    "iptc": [],
    "c2pa": [],
    "allowed": [],
}
# Pictures that say themselves what they are for.
SAYING = {
    "iptc": jpeg(xmp_segment(saying("DMI-PROHIBITED-GENAIMLTRAINING"))),
    "c2pa": png(png_chunk(b"caBX", training("constrained"))),
    "allowed": webp((b"XMP ", saying("DMI-ALLOWED")), (b"C2PA", training("allowed"))),
}
TAG = "opt-out: X-Robots-Tag"
OFF = {"noai": TAG}
USUAL = {**OFF, "noml": TAG, "usage": "opt-out: Content-Usage"}
ROBOTS = {
    "disallowed": "opt-out: robots.txt",
    "signal": "opt-out: Content-Signal",
    "rule": "opt-out: Content-Usage",
}
BYTES = {"iptc": "opt-out: IPTC data mining", "c2pa": "opt-out: C2PA"}
STRICT = {**USUAL, **ROBOTS, **BYTES, "tdm": "opt-out: TDM reservation", "file": "opt-out: tdmrep.json"}


@pytest.fixture
def site() -> Iterator[ImageServer]:
    with ImageServer() as server:
        for name, headers in HEADERS.items():
            server.put(f"/{name}.jpg", SAYING.get(name, PICTURE), headers=headers)
        lines = [
            "User-agent: *",
            "Disallow: /disallowed",
            "Content-Signal: /signal ai-train=no",
            "Content-Usage: /rule train-ai=n",
        ]
        server.put("/robots.txt", "\n".join(lines).encode(), "text/plain")
        reserved = [{"location": "/file*", "tdm-reservation": 1}]
        server.put(TDMREP_PATH, json.dumps(reserved).encode(), "application/json")
        yield server


def left_out(site: ImageServer, tmp_path: Path, **options: Any) -> dict[str, str]:
    """The failure of each picture that was not stored, by its name."""
    url_list, output = tmp_path / "list.txt", tmp_path / "out"
    url_list.write_text("".join(site.url(f"/{name}.jpg\n") for name in HEADERS))
    done = run_here(url_list=url_list, output_folder=output, processes_count=1, **options)
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(output / "00000.parquet").to_pylist()
    assert len(rows) == len(HEADERS)
    named = {Path(row["url"]).stem: row["error_message"] for row in rows}
    return {name: failure for name, failure in named.items() if failure is not None}


@pytest.mark.parametrize(
    ("options", "expected", "files"),
    [
        ({"consent": "off"}, OFF, (0, 0)),
        ({}, USUAL, (0, 0)),
        ({"consent": "usual"}, USUAL, (0, 0)),
        ({"consent": "strict"}, STRICT, (1, 1)),
    ],
)
def test_the_word_says_which_signals_count(
    site: ImageServer,
    tmp_path: Path,
    options: dict[str, Any],
    expected: dict[str, str],
    files: tuple[int, int],
) -> None:
    assert left_out(site, tmp_path, **options) == expected
    assert (site.count("/robots.txt"), site.count(TDMREP_PATH)) == files


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"consent": "strict", "respect_robots_txt": False},
            {name: failure for name, failure in STRICT.items() if name not in ROBOTS},
        ),
        (
            {"consent": "strict", "respect_tdm": False},
            {name: failure for name, failure in STRICT.items() if name not in ("tdm", "file")},
        ),
        ({"consent": "off", "respect_tdm": True}, {**OFF, "tdm": "opt-out: TDM reservation"}),
        ({"consent": "off", "respect_robots_txt": True}, {**OFF, "disallowed": "opt-out: robots.txt"}),
        ({"respect_tdm": True}, {**USUAL, "tdm": "opt-out: TDM reservation"}),
        ({"disallowed_header_directives": "[]"}, {"usage": "opt-out: Content-Usage"}),
        ({"disallowed_header_directives": '["noml"]', "consent": "off"}, {"noml": TAG}),
        (
            {"disallowed_header_directives": '["noai"]'},
            {"noai": TAG, "usage": "opt-out: Content-Usage"},
        ),
    ],
)
def test_options_for_single_signals_win_over_the_word(
    site: ImageServer, tmp_path: Path, options: dict[str, Any], expected: dict[str, str]
) -> None:
    assert left_out(site, tmp_path, **options) == expected


def test_another_word_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run(url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", consent="lax")
    assert done.returncode != 0
    assert "--consent is 'lax'; it takes off, usual, strict" in done.stderr
    assert "Traceback" not in done.stderr

"""``img2dataset consent OUTPUT``: what was left out and seen is counted; wrong words are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import photograph
from tests.program.consents import consent, document, said
from tests.program.contract import Maker
from tests.program.runs import run
from tests.servers import ImageServer

PICTURE = photograph(40, 30)
FORMATS = ["files", "webdataset", "parquet", "tfrecord"]


@pytest.fixture
def site() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


@pytest.fixture
def urls(site: ImageServer) -> list[str]:
    """An image; one with a signal that is not known; three that are reserved; three that are sold."""
    headers = {"no": ("X-Robots-Tag", "noai"), "usage": ("Content-Usage", "train-ai=n")}
    urls = [
        site.put("/a.jpg", PICTURE),
        site.put("/odd.jpg", PICTURE, headers=[("X-Robots-Tag", "noarchive")]),
        site.put("/no.jpg", PICTURE, headers=[headers["no"]]),
        site.put("/usage.jpg", PICTURE, headers=[headers["usage"]]),
        site.put("/sold.jpg", b"", status=402, headers=[("crawler-price", "USD 0.01")]),
        site.put("/dear.jpg", b"", status=402, headers=[("crawler-price", "usd 1.5")]),
        site.put("/unpriced.jpg", b"", status=402),
        site.url("/missing.jpg"),
    ]
    site.put("/no2.jpg", PICTURE, headers=[headers["no"]])
    return [*urls, site.url("/no2.jpg", 2)]


@pytest.mark.parametrize("output_format", FORMATS)
def test_what_was_left_out_and_seen_is_counted(make: Maker, urls: list[str], output_format: str) -> None:
    folder = make(urls, output_format=output_format, save_consent=True, number_sample_per_shard=4)
    found = document(folder)
    assert (found["shards"], found["rows"], found["images"], found["shards_with_column"]) == (3, 9, 2, 3)
    assert found["left_out"] == {"opt-out: X-Robots-Tag": 2, "opt-out: Content-Usage": 1}
    assert (found["asked_to_pay"], found["images_with_a_no"]) == (3, 0)
    assert found["prices"] == {"USD": {"rows": 2, "sum": "1.51"}}
    signals = {(each["signal"], each["says"], each["honoured"]): each["rows"] for each in found["signals"]}
    assert signals == {
        ("x-robots-tag", "no", True): 2,
        ("x-robots-tag", "unknown", True): 1,
        ("content-usage", "no", True): 1,
        ("crawler-price", "conditions", True): 2,
    }
    assert found["hosts"] == [
        {"host": "127.0.0.1", "left_out": 5, "reserved": 2},
        {"host": "127.0.0.2", "left_out": 1, "reserved": 1},
    ]
    lines = said(folder)
    assert "rows: 9 in 3 shards, 2 with an image" in lines
    assert "left out, as their site wishes: 3 rows" in lines
    assert "left out, as they are sold: 3 rows, USD 1.51" in lines
    assert "with an image, though a signal says no or sets conditions: 0 rows" in lines
    assert re.search("^  x-robots-tag, says no, honoured +2$", lines, re.MULTILINE)
    assert re.search("^  x-robots-tag, says unknown +1$", lines, re.MULTILINE)
    assert re.search("^hosts: +left out +with a no$", lines, re.MULTILINE)
    assert re.search("^  127.0.0.1 +5 +2$", lines, re.MULTILINE)


def test_a_no_that_is_not_honoured_is_told_as_such(make: Maker, urls: list[str]) -> None:
    options = {"consent": "off", "disallowed_header_directives": [], "save_consent": True}
    found = document(make(urls, **options))
    assert (found["images"], found["left_out"], found["images_with_a_no"]) == (5, {}, 3)
    assert {"signal": "x-robots-tag", "says": "no", "honoured": False, "rows": 2} in found["signals"]
    assert found["hosts"][0] == {"host": "127.0.0.1", "left_out": 3, "reserved": 2}


@pytest.mark.parametrize("output_format", [*FORMATS, "dummy"])
def test_without_the_column_the_failures_are_counted_and_the_option_is_named(
    make: Maker, urls: list[str], output_format: str
) -> None:
    folder = make(urls, output_format=output_format)
    found = document(folder)
    assert found["left_out"] == {"opt-out: X-Robots-Tag": 2, "opt-out: Content-Usage": 1}
    assert (found["prices"]["USD"]["sum"], found["signals"]) == ("1.51", [])
    assert "--save_consent" in said(folder)
    if output_format != "dummy":
        assert found["hosts"][0] == {"host": "127.0.0.1", "left_out": 5, "reserved": 0}


def test_the_failures_of_1_47_0_are_counted(tmp_path: Path) -> None:
    message = "Use of image disallowed by X-Robots-Tag directive"
    statistics = {
        **{"count": 3, "successes": 1, "failed_to_download": 2, "failed_to_resize": 0, "duration": 1.0},
        **{"start_time": 1.0, "end_time": 2.0, "status_dict": {"success": 1, message: 2}},
    }
    (tmp_path / "00000_stats.json").write_text(json.dumps(statistics))
    assert document(tmp_path)["left_out"] == {"opt-out: X-Robots-Tag": 2}


def test_nothing_that_strangers_have_written_reaches_the_terminal_as_it_is(
    make: Maker, site: ImageServer
) -> None:
    value = "noarchive, \x1b[31mred"
    folder = make([site.put("/a\u202eb.jpg", PICTURE, headers=[("X-Robots-Tag", value)])], save_consent=True)
    site.put("/a\u202eb.jpg", PICTURE, headers=[("X-Robots-Tag", "noai\x1b[31m, noai")])
    for words in ((), ("--json",), ("--recheck",), ("--recheck", "--json")):
        lines = said(folder, *words)
        assert "\x1b" not in lines
        assert "\u202e" not in lines


def test_a_column_of_the_list_that_is_called_so_is_not_counted(tmp_path: Path, site: ImageServer) -> None:
    forged = json.dumps(
        [
            {"signal": "c2pa", "where": "c2pa manifest", "value": "notAllowed", "says": "no"}
            | {"honoured": True, "seen": "2026-11-29T10:15:28Z"}
        ]
    )
    rows = {"url": [site.put("/a.jpg", PICTURE)] * 3, "consent": ["[" * 100_000, forged, "mine"]}
    pq.write_table(pa.table(rows), tmp_path / "list.parquet")
    options = {"url_list": tmp_path / "list.parquet", "input_format": "parquet", "processes_count": 1}
    options["save_additional_columns"] = '["consent"]'
    assert run(**options, output_folder=tmp_path / "out").returncode == 0
    found = document(tmp_path / "out")
    counts = ("images", "shards_with_column", "signals", "broken_cells", "hosts")
    assert [found[name] for name in counts] == [3, 0, [], 0, []]
    assert document(tmp_path / "out", "--recheck")["free"] == 3
    both = run(**options, output_folder=tmp_path / "both", save_consent=True)
    assert (both.returncode, both.stderr.count("\n")) == (2, 1)
    assert "--save_additional_columns has 'consent', which --save_consent uses itself" in both.stderr
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["OUT", "--remove"], "--remove takes out what --recheck finds"),
        (["OUT", "--sme"], "--sme is for --eu_summary"),
        (["OUT", "--recheck", "--eu_summary", "x.md"], "takes one of them"),
        (["OUT", "--eu_summary"], "--eu_summary needs the file"),
        (["OUT", "--json=yes"], "--json takes no value"),
        (["OUT", "--recheck", "--image_size", "3"], "--image_size is no option of consent"),
        (["OUT", "--recheck", "--save_consent", "True"], "--save_consent is no option of consent"),
        (["OUT", "--timeout", "3"], "--timeout is for --recheck"),
        (["OUT", "--recheck", "--timeout", "soon"], "--timeout is 'soon'"),
        (["OUT", "--rechek"], "--rechek is no option of consent (did you mean --recheck?)"),
        (["OUT", "--recheck", "--timeuot", "3"], "(did you mean --timeout?); img2dataset consent --help"),
        (["OUT", "other"], "consent takes one output folder, and was given 'other' too"),
        (["--json"], "consent needs the output folder"),
    ],
)
def test_wrong_words_are_one_line_with_the_way_out(tmp_path: Path, words: list[str], message: str) -> None:
    done = consent(*(str(tmp_path) if word == "OUT" else word for word in words))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


@pytest.mark.parametrize("words", [[], ["--recheck"], ["--recheck", "--remove"], ["--eu_summary", "x.md"]])
def test_what_is_no_dataset_is_one_line(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_text("a,b")
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "no\x1b[31m folder"):
        done = consent(tmp_path / name, *words, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), name
        assert "name the output folder of a run" in done.stderr
        assert "\x1b" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.parametrize("words", [[], ["--help"], ["out", "--recheck", "-h"]])
def test_help_is_a_page_of_eighty_columns(words: list[str]) -> None:
    lines = said(*words).splitlines()
    assert lines[0].startswith("usage: img2dataset consent OUTPUT")
    assert max(map(len, lines)) <= 80

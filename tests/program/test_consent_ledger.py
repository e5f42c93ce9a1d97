"""``--save_consent``: every signal that was seen stands in the metadata, honoured or not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.imaging.consent.builders import box_segments, jpeg, saying, training, webp, xmp_segment
from tests.pictures import photograph
from tests.program.contract import Maker, column, rows_of
from tests.servers import ImageServer

PICTURE = photograph(40, 30)
STRICT = {"consent": "strict", "save_consent": True}
OFF = {"consent": "off", "save_consent": True}


@pytest.fixture
def site() -> Iterator[ImageServer]:
    """A host of its own: what its files say is told of no other test's images."""
    with ImageServer() as server:
        yield server


def seen(folder: Path) -> list[list[tuple[Any, ...]]]:
    """Of each row: the kind of each signal, its value, what it says, and whether it is honoured."""
    names = ("signal", "value", "says", "honoured")
    return [
        [tuple(signal[name] for name in names) for signal in json.loads(text or "[]")]
        for text in column(folder, "consent")
    ]


@pytest.mark.parametrize(
    ("header", "value", "says", "honoured"),
    [
        ("X-Robots-Tag", "noai", "no", {"usual", "strict"}),
        ("X-Robots-Tag", "noml", "no", {"usual", "strict"}),
        ("X-Robots-Tag", "noarchive", "unknown", {"usual", "strict"}),
        ("X-Robots-Tag", "otherbot: noai", "unknown", {"usual", "strict"}),
        ("Content-Usage", "train-ai=n", "no", {"usual", "strict"}),
        ("Content-Usage", "train-ai=y", "yes", {"usual", "strict"}),
        ("Content-Usage", "train-ai=perhaps", "unknown", {"usual", "strict"}),
        ("tdm-reservation", "1", "no", {"strict"}),
        ("tdm-reservation", "0", "yes", {"strict"}),
        ("tdm-reservation", "2", "unknown", {"strict"}),
        ("Link", '<https://a.example/l.xml>; rel="license"; type="application/rsl+xml"', "conditions", ()),
    ],
)
def test_a_header_is_recorded_whether_it_is_honoured_or_not(
    make: Maker, site: ImageServer, header: str, value: str, says: str, honoured: set[str]
) -> None:
    url = site.put("/a.jpg", PICTURE, headers=[(header, value)])
    # What 1.47.0 honours is honoured without ``consent``, too.
    directives: dict[str, Any] = {"disallowed_header_directives": []}
    for consent, options in (("usual", {}), ("strict", {}), ("off", directives)):
        folder = make([url], consent=consent, save_consent=True, **options)
        assert seen(folder) == [[(header.lower(), value, says, consent in honoured)]], consent
        refused = says == "no" and consent in honoured
        assert column(folder, "status") == ["failed_to_download" if refused else "success"]


def test_a_no_that_the_options_let_pass_is_recorded_as_not_honoured(make: Maker, site: ImageServer) -> None:
    urls = [
        site.put(f"/{name}.jpg", PICTURE, headers=[("X-Robots-Tag", name)]) for name in ("noml", "noindex")
    ]
    folder = make(urls, save_consent=True, consent="off", disallowed_header_directives=["noindex"])
    assert column(folder, "error_message") == [None, "opt-out: X-Robots-Tag"]
    assert seen(folder) == [
        [("x-robots-tag", "noml", "no", False)],
        [("x-robots-tag", "noindex", "no", True)],
    ]


def test_a_site_that_cannot_be_reached_has_said_nothing(make: Maker, site: ImageServer) -> None:
    site.put("/robots.txt", b"", status=500)
    silent = site.put("/a.jpg", PICTURE)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        unreachable = f"http://127.0.0.1:{nobody.getsockname()[1]}/a.jpg"
        folder = make([silent, unreachable], retries=0, **STRICT)
    assert seen(folder) == [[("robots.txt", "opt-out: robots.txt unavailable", "no", True)], []]


ROBOTS = b"""\
User-agent: *
Allow: /
Disallow: /private
Content-Signal: ai-train=no, search=yes
Content-Usage: /free train-ai=y
Content-Signal: /free ai-train=yes
Content-Signal: /odd ai-train=ask
Content-Signal: /odd search=no, ai-train=yes
"""
TDMREP = b'[{"location": "/free", "tdm-reservation": 1}, {"location": "/odd", "tdm-reservation": "ask"}]'


def test_what_the_files_of_a_site_say_of_each_row_is_recorded(make: Maker, site: ImageServer) -> None:
    site.put("/robots.txt", ROBOTS, "text/plain")
    site.put("/.well-known/tdmrep.json", TDMREP, "application/json")
    names = ("private", "free", "odd", "other")
    urls = [site.put(f"/{name}.jpg", PICTURE) for name in names]
    folder = make(urls, **STRICT)
    everywhere = ("content-signal", "Content-Signal: ai-train=no, search=yes", "no", True)
    allowed = ("robots.txt", "Allow: /", "yes", True)
    free = '{"location": "/free", "tdm-reservation": 1}'
    odd = '{"location": "/odd", "tdm-reservation": "ask"}'
    assert seen(folder) == [
        [("robots.txt", "Disallow: /private", "no", True), everywhere],
        [
            allowed,
            ("content-signal", "Content-Signal: /free ai-train=yes", "yes", True),
            ("content-usage", "Content-Usage: /free train-ai=y", "yes", True),
            ("tdmrep.json", free, "no", True),
        ],
        [
            allowed,
            ("content-signal", "Content-Signal: /odd search=no, ai-train=yes", "yes", True),
            ("content-signal", "Content-Signal: /odd ai-train=ask", "unknown", True),
            ("tdmrep.json", odd, "unknown", True),
        ],
        [allowed, everywhere],
    ]
    assert column(folder, "error_message") == [
        "opt-out: robots.txt",
        "opt-out: tdmrep.json",
        None,
        "opt-out: Content-Signal",
    ]
    where = [[each["where"] for each in json.loads(text)] for text in column(folder, "consent")]
    assert where[1] == [site.url("/robots.txt")] * 3 + [site.url("/.well-known/tdmrep.json")]
    asked = [site.count(path) for path in ("/robots.txt", "/.well-known/tdmrep.json")]
    assert asked == [1, 1]
    assert seen(make(urls, **OFF)) == [[]] * 4
    assert [site.count(path) for path in ("/robots.txt", "/.well-known/tdmrep.json")] == asked


def test_what_is_read_and_not_honoured_is_recorded_as_such(make: Maker, site: ImageServer) -> None:
    site.put("/robots.txt", b"User-agent: *\nContent-Signal: ai-train=no\n", "text/plain")
    folder = make([site.put("/a.jpg", PICTURE)], respect_robots_txt=True, **OFF)
    assert seen(folder) == [[("content-signal", "Content-Signal: ai-train=no", "no", False)]]
    assert column(folder, "status") == ["success"]


def test_a_file_that_cannot_be_had_and_a_price_are_recorded(make: Maker, site: ImageServer) -> None:
    site.put("/robots.txt", b"away", status=503)
    refused = make([site.put("/a.jpg", PICTURE)], retries=0, max_retry_after=0, **STRICT)
    unavailable = "opt-out: robots.txt unavailable"
    assert seen(refused) == [[("robots.txt", unavailable, "no", True)]]
    assert column(refused, "error_message") == [unavailable]
    priced = site.put("/b.jpg", b"", status=402, headers=[("crawler-price", "USD 0.01")])
    assert seen(make([priced], save_consent=True)) == [[("crawler-price", "USD 0.01", "conditions", True)]]
    given = site.put("/d.jpg", PICTURE, headers=[("crawler-price", "USD 0.01")])
    assert seen(make([given], save_consent=True)) == [[]]
    missing = site.put("/c.jpg", b"", status=404, headers=[("X-Robots-Tag", "noindex")])
    assert seen(make([missing], save_consent=True)) == [[]]


def test_several_signals_are_all_recorded_and_the_most_restrictive_counts(
    make: Maker, site: ImageServer
) -> None:
    headers = [
        ("Content-Usage", "train-ai=y"),
        ("X-Robots-Tag", "all"),
        ("X-Robots-Tag", "img2dataset: noai"),
        ("tdm-reservation", "0"),
    ]
    folder = make([site.put("/a.jpg", PICTURE, headers=headers)], save_consent=True)
    assert seen(folder) == [
        [
            ("x-robots-tag", "all", "unknown", True),
            ("x-robots-tag", "img2dataset: noai", "no", True),
            ("content-usage", "train-ai=y", "yes", True),
            ("tdm-reservation", "0", "yes", False),
        ]
    ]
    assert column(folder, "error_message") == ["opt-out: X-Robots-Tag"]


def test_what_a_picture_says_itself_is_recorded_whether_it_is_honoured_or_not(
    make: Maker, site: ImageServer
) -> None:
    prohibited = jpeg(xmp_segment(saying("DMI-PROHIBITED")), *box_segments(training("allowed")))
    urls = [
        site.put("/no.jpg", prohibited, headers=[("X-Robots-Tag", "all")]),
        site.put("/yes.webp", webp((b"C2PA", training("allowed")))),
        site.put("/nothing.jpg", PICTURE),
    ]
    for consent in ("off", "usual", "strict"):
        is_strict = consent == "strict"
        folder = make(urls, consent=consent, save_consent=True)
        iptc = ("iptc-data-mining", "DMI-PROHIBITED", "no", is_strict)
        allowed = ("c2pa", "ai_training=allowed", "yes", is_strict)
        said = [[signal for signal in row if signal[0] != "x-robots-tag"] for row in seen(folder)]
        assert said == [[iptc, allowed], [allowed], []], consent
        assert len(seen(folder)[0]) == 3
        refusal = "opt-out: IPTC data mining" if is_strict else None
        assert column(folder, "error_message") == [refusal, None, None]


def test_a_value_is_kept_short_and_on_one_line(make: Maker, site: ImageServer) -> None:
    value = "noarchive, \x1b[31m" + "x" * 5000
    folder = make([site.put("/a.jpg", PICTURE, headers=[("X-Robots-Tag", value)])], save_consent=True)
    [[(_, kept, _, _)]] = seen(folder)
    assert len(kept) == 200
    assert kept.startswith("noarchive,  [31mxxx")


def test_after_a_redirect_the_files_of_both_sites_are_recorded(make: Maker, site: ImageServer) -> None:
    with ImageServer() as other:
        site.put("/robots.txt", b"User-agent: *\nAllow: /\n", "text/plain")
        other.put("/robots.txt", b"User-agent: *\nAllow: /a\n", "text/plain")
        target = other.put("/a.jpg", PICTURE)
        folder = make([site.put("/to", b"", status=302, headers=[("Location", target)])], **STRICT)
        assert [each[1] for each in seen(folder)[0]] == ["Allow: /", "Allow: /a"]
        assert column(folder, "status") == ["success"]


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_every_format_has_the_column_last_and_without_the_option_none(
    make: Maker, site: ImageServer, output_format: str
) -> None:
    urls = [site.put("/a.jpg", PICTURE, headers=[("X-Robots-Tag", "noarchive")]), site.url("/missing.jpg")]
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    folder = make([*urls, ""], output_format=output_format, save_consent=True, processes_count=2)
    rows = rows_of(folder)
    names = [name for name in rows[0] if name != "jpg"]
    assert names[-1] == "consent"
    [signal] = json.loads(rows[0]["consent"])
    assert began <= signal["seen"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert signal["where"] == "header"
    assert [row["consent"] for row in rows[1:]] == [None] * (len(rows) - 1)
    assert "consent" not in rows_of(make(urls, output_format=output_format))[0]


def test_a_retried_row_is_recorded_anew_and_the_others_stay(make: Maker, site: ImageServer) -> None:
    urls = [
        site.put("/a.jpg", PICTURE, headers=[("X-Robots-Tag", "noarchive")]),
        site.put("/c.jpg", b"", status=503),
    ]
    folder = make(urls, save_consent=True, retries=0, max_retry_after=0)
    first = column(folder, "consent")
    assert first[1] is None
    site.put("/c.jpg", PICTURE, headers=[("Content-Usage", "train-ai=y")])
    again = {"output_folder": folder, "incremental_mode": "retry_failed", "allow_mixing": True}
    make(urls, save_consent=True, **again)
    assert column(folder, "consent")[0] == first[0]
    assert seen(folder)[1] == [("content-usage", "train-ai=y", "yes", True)]


def test_the_column_is_the_schema_of_format_parquet_too(make: Maker, site: ImageServer) -> None:
    folder = make([site.put("/a.jpg", PICTURE)], output_format="parquet", save_consent=True)
    assert str(pq.read_schema(next(folder.glob("*.parquet"))).field("consent").type) == "string"


LICENCE = """<rsl xmlns="https://rslstandard.org/rsl"><content url="/private">
<license><prohibits type="usage">ai-train</prohibits></license></content></rsl>"""


def test_the_licences_that_robots_txt_names_are_read_once_and_refuse(make: Maker, site: ImageServer) -> None:
    names = [site.put(f"/{name}.xml", LICENCE.encode(), "application/rsl+xml") for name in "abc"]
    lines = [site.url("/robots.txt"), "no address", site.url("/missing.xml"), names[0], names[0], *names[1:]]
    licences = "".join(f"License: {each}\n" for each in lines)
    site.put("/robots.txt", f"{licences}User-agent: *\nAllow: /\n".encode(), "text/plain")
    urls = [site.put(f"/{name}.jpg", PICTURE) for name in ("private", "private2", "free")]
    folder = make(urls, **STRICT)
    assert column(folder, "error_message") == ["opt-out: RSL licence", "opt-out: RSL licence", None]
    # Three that can be asked for; the last is one too many.
    assert [site.count(f"/{name}.xml") for name in ("missing", "a", "b", "c")] == [1, 1, 1, 0]
    rsl = [[each[1:3] for each in row if each[0] == "rsl"] for row in seen(folder)]
    named = [(f"License: {each}", "unknown") for each in lines[:3]]
    refused = ("/private prohibits ai-train", "no")
    assert rsl == [[*named, refused], [*named, refused], named]
    where = [each["where"] for each in json.loads(column(folder, "consent")[0]) if each["signal"] == "rsl"]
    assert where == [site.url("/robots.txt")] * 3 + names[:1]
    # Where robots.txt is read for its own sake alone, no licence is.
    off = seen(make(urls, respect_robots_txt=True, **OFF))[0]
    assert off == [
        ("robots.txt", "Allow: /", "yes", True),
        *(("rsl", f"License: {each}", "unknown", False) for each in lines[:3]),
    ]
    assert site.count("/a.xml") == 1


def test_a_licence_elsewhere_is_asked_for_as_a_redirect_is_followed(
    make: Maker, site: ImageServer, tmp_path: Path
) -> None:
    """Who writes a robots.txt must not have others' hosts asked with the user's credentials for them."""
    with ImageServer() as other:
        foreign = other.put("/licence.xml", b"<rsl/>", "application/rsl+xml")
        own = site.put("/licence.xml", LICENCE.encode(), "application/rsl+xml")
        site.put("/robots.txt", f"License: {foreign}\nLicense: {own}\n".encode(), "text/plain")
        credentials = tmp_path / "credentials.json"
        hosts = {f"127.0.0.1:{server.port}": {"bearer": "t0ken"} for server in (site, other)}
        credentials.write_text(json.dumps(hosts))
        options = {"credentials_file": str(credentials), "extra_headers": ["X-Api-Key: s3cret"]}
        folder = make([site.put("/private.jpg", PICTURE)], **STRICT, **options)
        assert column(folder, "error_message") == ["opt-out: RSL licence"]
        to_own, to_other = (server.last_request("/licence.xml") or "" for server in (site, other))
        assert to_other.startswith("GET")
        for line in ("Authorization: Bearer t0ken", "X-Api-Key: s3cret"):
            assert line in to_own
            assert line.partition(":")[0] not in to_other

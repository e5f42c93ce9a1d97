"""``img2dataset consent OUTPUT --eu_summary FILE``: what a folder knows stands in it, the rest is open."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import photograph
from tests.program.consents import consent, document, said
from tests.program.contract import Maker
from tests.program.runs import COMMAND, run
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.working.retaking import write_as_1_47
from tests.working.shards import settings_for, success

HEADINGS = [
    "## 1. General information",
    "### 1.1. Provider identification",
    "### 1.2. Model identification",
    "### 1.3. Modalities, overall training data size and other characteristics",
    "## 2. List of data sources",
    "### 2.1. Publicly available datasets",
    "### 2.2. Private non-publicly available datasets obtained from third parties",
    "### 2.3. Data crawled and scraped from online sources",
    "### 2.4. User data",
    "### 2.5. Synthetic data",
    "### 2.6. Other sources of data",
    "## 3. Data processing aspects",
    "### 3.1. Respect of reservation of rights from text and data mining exception or limitation",
    "### 3.2. Removal of illegal content",
    "### 3.3. Other information (optional)",
]
OPEN = "*To be filled in by the provider.*"


@pytest.fixture
def site() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def test_what_the_folder_knows_is_filled_in(tmp_path: Path, site: ImageServer) -> None:
    site.put("/large.jpg", photograph(400, 300))
    site.put("/small.jpg", photograph(40, 30))
    site.put("/no.jpg", photograph(40, 30), headers=[("X-Robots-Tag", "noai")])
    urls = [site.url("/small.jpg", 1), site.url("/large.jpg", 2), site.url("/no.jpg", 3)]
    rows = {"url": [*urls, site.url("/small.jpg", 4)], "text": ["a cat", "кошка", "a dog", "a bird"]}
    pq.write_table(pa.table(rows), tmp_path / "list.parquet")
    before = time.strftime("%m/%Y", time.gmtime())
    made = run(
        url_list=tmp_path / "list.parquet",
        output_folder=tmp_path / "out",
        input_format="parquet",
        output_format="webdataset",
        caption_col="text",
        processes_count=1,
        consent="strict",
        user_agent_token="mine",
        contact="me@example.org",
        save_consent=True,
    )
    assert made.returncode == 0, made.stderr
    found = document(tmp_path / "out", "--eu_summary", tmp_path / "summary.md")
    assert (found["domains"], found["domains_listed"]) == (3, 1)
    text = (tmp_path / "summary.md").read_text()
    assert [line for line in text.splitlines() if re.match("#{2,3} ", line)] == HEADINGS
    assert re.search(
        r"\| image \| less than 1 million images \(3; 0\.0[1-9] MB as they are stored\) \|", text
    )
    assert f"| text | 3 captions of these images; in tokens: {OPEN} | {OPEN} |" in text
    for name in ("Name and contact of the provider", "Models, with their versions", "Last update"):
        assert f"- {name}: {OPEN}\n" in text
    assert "- 2.2.1. Datasets commercially licensed by rightsholders or their representatives:" in text
    assert "scripts of the captions: Latin 66.7%, Cyrillic 33.3%" in text
    months = {before, time.strftime("%m/%Y", time.gmtime())}
    assert any(
        f"- Period of data collection: {first} to {last}" in text for first in months for last in months
    )
    assert re.search(r"  - `img2dataset/\S+ \(mine; contact: me@example.org; \+https\S+\)`\n", text)
    assert "honoured the headers X-Robots-Tag, Content-Usage, tdm-reservation" in text
    assert "/robots.txt and /.well-known/tdmrep.json of each site; IPTC data mining and C2PA" in text
    assert "- Images left out for a reservation: 1\n  - opt-out: X-Robots-Tag: 1\n" in text
    assert "  - x-robots-tag, says no, honoured: 1" in text
    table = [line for line in text.splitlines() if line.startswith("| 127")]
    assert table == ["| 127.0.0.2 | 1 | 0.1 |"]
    assert text.count(OPEN) >= 20
    assert "not known of" not in text
    assert "Measures after the collection" not in text


def test_small_providers_list_fewer_domains(make: Maker, site: ImageServer, tmp_path: Path) -> None:
    site.put("/a.jpg", photograph(40, 30))
    folder = make([site.url("/a.jpg", host) for host in range(1, 17)])
    for words, listed in (([], 2), (["--sme"], 1)):
        lines = said(folder, "--eu_summary", tmp_path / "summary.md", *words)
        assert f"it lists {listed} of 16 domain names" in lines
        text = (tmp_path / "summary.md").read_text()
        assert sum(line.startswith("| 127") for line in text.splitlines()) == listed
        assert ("5 %, at most 1,000" in text) == bool(words)


def test_what_was_asked_again_and_taken_out_stands_in_it(
    make: Maker, site: ImageServer, tmp_path: Path
) -> None:
    folder = make([site.put(f"/{n}.jpg", photograph(40, 30)) for n in range(3)])
    said(folder, "--eu_summary", tmp_path / "before.md")
    before = (tmp_path / "before.md").read_text()
    assert (
        "honoured the headers X-Robots-Tag, Content-Usage of answers; files of sites, such as /robots.txt,"
        in before
    )
    assert "were not asked for; what pictures say themselves was not heeded\n" in before
    assert "- Signals that were seen are not known of 1 of 1 shard, made without --save_consent\n" in before
    site.put("/robots.txt", b"User-agent: *\nDisallow: /1.jpg\n", "text/plain")
    site.put("/2.jpg", b"", status=404)
    said(folder, "--recheck")
    assert not (folder / ".img2dataset_runs" / "removals").exists()
    assert f"  img2dataset report {folder} makes it anew" in said(folder, "--recheck", "--remove")
    (folder / ".img2dataset_runs" / "removals" / "broken.json").write_text('{"day": 3}')
    said(folder, "--eu_summary", tmp_path / "after.md")
    after = (tmp_path / "after.md").read_text()
    assert re.search(
        r"- Measures after the collection:\n  - \d{4}-\d\d-\d\d: 3 images asked for again, 1 taken out as"
        r" reserved now, 1 kept without an answer; `img2dataset/.*` honoured the headers .*/robots.txt and ",
        after,
    )
    assert "  - opt-out: robots.txt: 1\n" in after


def test_what_was_taken_out_before_a_kill_stands_in_it(
    make: Maker, site: ImageServer, tmp_path: Path
) -> None:
    urls = [site.put(f"/{n}.jpg", photograph(40, 30)) for n in range(2)]
    folder = make(urls, number_sample_per_shard=1)
    site.put("/robots.txt", b"User-agent: *\nDisallow: /0.jpg\n", "text/plain")
    site.put("/1.jpg", photograph(40, 30), latency_s=300)
    words = [COMMAND, "consent", str(folder), "--recheck", "--remove", "--timeout", "200"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: any((folder / ".img2dataset_runs" / "removals").glob("*.json")), process)
        process.kill()
    said(folder, "--eu_summary", tmp_path / "after.md")
    assert "1 taken out as reserved now" in (tmp_path / "after.md").read_text()


def test_of_a_folder_of_1_47_0_the_crawler_is_left_to_the_provider(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    settings = settings_for(folder, "webdataset")
    table = pa.table({"caption": ["a"], "url": ["http://a.example/|`\x1b[31m\u202e/x.jpg"]})
    write_as_1_47(folder, settings, [success(settings, table, 0)], table)
    said(folder, "--eu_summary", tmp_path / "summary.md")
    text = (tmp_path / "summary.md").read_text()
    assert "- Crawler names or identifiers:\n  - *To be filled in by the provider.*\n" in text
    assert "| a.example | 1 | 0.3 |" in text
    said(folder, "--eu_summary", tmp_path / "summary.md", "--user_agent", "mine/1.0")
    assert "  - `mine/1.0`\n" in (tmp_path / "summary.md").read_text()


def test_what_strangers_have_written_is_no_markdown_and_no_escape(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    settings = settings_for(folder, "webdataset")
    table = pa.table({"caption": ["a"], "url": ["http://a|b`[x](y)\x1b[31m\u202e<b>.example/x.jpg"]})
    write_as_1_47(folder, settings, [success(settings, table, 0)], table)
    said(folder, "--eu_summary", tmp_path / "summary.md")
    text = (tmp_path / "summary.md").read_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"| a\|b\`\[x\]\(y\)\\x1b\[31m\\u202e\<b\>.example | 1 |" in text


def test_a_file_that_cannot_be_written_is_one_line(make: Maker, site: ImageServer, tmp_path: Path) -> None:
    folder = make([site.put("/a.jpg", photograph(40, 30))])
    for name in (tmp_path, tmp_path / "no folder" / "summary.md"):
        done = consent(folder, "--eu_summary", name)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "cannot be written" in done.stderr


def test_what_is_not_counted_is_said_in_it(make: Maker, site: ImageServer, tmp_path: Path) -> None:
    site.put("/a.jpg", photograph(40, 30))
    folder = make([site.url(f"/a.jpg?{n}") for n in range(3)], number_sample_per_shard=1)
    (folder / "00000.parquet").write_bytes(b"PAR1 no longer")
    (folder / "00001_stats.json").write_text("[" * 100_000)
    for words in ([], ["--eu_summary", tmp_path / "summary.md"]):
        done = consent(folder, *words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 2)
        assert "WARNING: the statistics of 1 shard cannot be read" in done.stderr
    text = (tmp_path / "summary.md").read_text()
    assert "**Not all is counted:** the statistics of 1 shard cannot be read." in text
    assert "**Not all is counted:** the metadata of shard 00000 cannot be read: " in text

"""``report.html`` and ``report.json``: the same numbers as the statistics say, of every kind of folder."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from img2dataset.reporting.report import folder as folders
from tests.program.runs import COMMAND, command_here, run, serve_photographs, write_list
from tests.reporting.report.datasets import HOSTILE, rows_of, write_shard
from tests.servers import ImageServer

TOTALS = ("count", "successes", "failed_to_download", "failed_to_resize")


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return command_here("report", *map(str, words))


def document_of(folder: object, *words: object) -> dict[str, Any]:
    result = command(folder, "--json", *words)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def statistics_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*_stats.json"))]


def check_against_statistics(document: dict[str, Any], folder: Path) -> None:
    statistics = statistics_of(folder)
    totals = document["totals"]
    found = (totals["rows"], totals["successes"], totals["failed_to_download"], totals["failed_to_resize"])
    assert found == tuple(sum(each[name] for each in statistics) for name in TOTALS)
    failures: Counter[str] = Counter()
    for each in statistics:
        failures.update(each["status_dict"])
    del failures["success"]
    assert {each["message"]: each["rows"] for each in document["failures"]} == failures


def test_the_numbers_are_those_of_the_statistics_and_of_the_metadata(output: Path) -> None:
    document = json.loads((output / "report.json").read_text())
    check_against_statistics(document, output)
    rows = [row for path in sorted(output.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    images = [row for row in rows if row["status"] == "success"]
    assert document["read"] == {
        "shards_done": 3,
        "statistics_read": 3,
        "statistics_unreadable": 0,
        "metadata_read": 3,
        "metadata_unreadable": 0,
        "rows_read": 240,
    }
    hosts = Counter(row["url"].split("/")[2].split(":")[0] for row in rows)
    assert {each["host"]: each["rows"] for each in document["hosts"]["most"]} == hosts
    side = document["images"]["before"]["longer_side"]
    sides = sorted(max(row["original_width"], row["original_height"]) for row in images)
    assert (side["count"], side["least"], side["largest"]) == (len(images), sides[0], sides[-1])
    assert side["median"] == sides[(len(sides) - 1) // 2]
    assert sum(side["histogram"].values()) == len(images)
    after = document["images"]["after"]
    assert after["longer_side"]["histogram"]["64–127"] == len(images)
    assert after["width_over_height"]["square"] == len(images)
    captions = document["captions"]
    assert captions["without"] == sum(not row["caption"] for row in images)
    lengths = [len(row["caption"]) for row in images if row["caption"]]
    assert captions["length"]["count"] == len(lengths)
    assert captions["length"]["largest"] == max(lengths)
    assert captions["scripts"]["Cyrillic"] == sum(row["caption"].startswith("К") for row in images)
    assert captions["scripts"]["Japanese (kana)"] == sum(row["caption"].startswith("猫") for row in images)
    urls, hashes = [row["url"] for row in rows], [row["sha256"] for row in images]
    by_url, by_hash = document["duplicates"]["by_url"], document["duplicates"]["by_hash"]
    assert (by_url["count"], by_url["different"]) == (240, len(set(urls)))
    assert by_url["most_times"] == max(Counter(urls).values()) == 3
    assert (by_hash["count"], by_hash["different"]) == (len(images), len(set(hashes)))
    (opt_out,) = document["consent"]["opt_outs"]
    tagged = [row for row in rows if row["error_message"] == "opt-out: X-Robots-Tag"]
    assert (opt_out["signal"], opt_out["rows"]) == ("X-Robots-Tag", len(tagged))
    assert opt_out["hosts"] == {"127.0.0.1": len(tagged)}
    assert document["bytes"]["files"][".tar"] == sum(path.stat().st_size for path in output.glob("*.tar"))
    assert document["formats"]["not_images"] == {"HTML": 10}
    assert document["timing"]["rows"] == 240
    assert document["runs"][0]["options"]["image_size"] == 64
    assert len(document["sample"]) == 64
    for each in document["sample"]:
        (row,) = (row for row in images if row["key"] == each["key"])
        assert each["row"]["url"] == row["url"]


def test_throughput_has_every_row_once(output: Path) -> None:
    document = json.loads((output / "report.json").read_text())
    throughput = document["throughput"]
    assert sum(throughput["rows_per_second"]) * throughput["step_s"] == pytest.approx(240, rel=0.01)
    images = sum(throughput["images_per_second"]) * throughput["step_s"]
    assert images == pytest.approx(document["totals"]["successes"], rel=0.01)


def test_examples_are_urls_that_failed_so(output: Path) -> None:
    document = json.loads((output / "report.json").read_text())
    urls: dict[str, set[str]] = {}
    for path in output.glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            urls.setdefault(row["error_message"], set()).add(row["url"])
    for failure in document["failures"]:
        assert failure["urls"]
        assert set(failure["urls"]) <= urls[failure["message"]]


def test_the_page_shows_these_numbers_and_needs_nothing_else(output: Path) -> None:
    document = json.loads((output / "report.json").read_text())
    page = (output / "report.html").read_text()
    assert len(page) < 1_000_000
    text = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))
    for name in ("rows", "successes", "failed_to_download", "failed_to_resize"):
        assert f" {document['totals'][name]:,} " in text
    for failure in document["failures"]:
        assert failure["message"] in text
        assert f" {failure['rows']:,} " in text
    assert not re.findall(r"<[^>]*\b(?:src|href)=\"(?!data:)[^\"]*\"", page)
    assert page.count("<script>") == 1
    assert page.count('src="data:image/webp;base64,') == 64
    assert "default-src 'none'" in html.unescape(page)


def test_what_strangers_write_is_shown_as_text(output: Path) -> None:
    page = (output / "report.html").read_text()
    for caption in HOSTILE[:3]:
        assert caption not in page
        assert html.escape(caption) in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert "\\x1b[31mred" in page
    assert "$title ${body} {0} %s" in page
    assert "<b onclick" not in page


def test_a_folder_of_former_messages_is_understood(tmp_path: Path) -> None:
    """Those that 1.47.0 writes."""
    failures = {
        **{f"http://a.example/{n}": "HTTP Error 404: Not Found" for n in range(60)},
        **{
            f"http://b{n}.example/": "<urlopen error [Errno -2] Name or service not known>" for n in range(20)
        },
        **{f"http://c.example/{n}": "Use of image disallowed by X-Robots-Tag directive" for n in range(10)},
        **{f"http://d.example/{n}": "<urlopen error timed out>" for n in range(30)},
    }
    urls = [*failures, *(f"http://e.example/{n}" for n in range(80))]
    write_shard(tmp_path / "out", 0, rows_of(urls, failures))
    document = document_of(tmp_path / "out")
    check_against_statistics(document, tmp_path / "out")
    kinds = {finding["kind"]: finding["evidence"]["rows"] for finding in document["findings"]}
    assert kinds["link_rot"] == 80
    assert kinds["too_slow"] == 30
    assert kinds["opt_outs"] == 10
    assert document["consent"]["opt_outs"][0]["hosts"] == {"c.example": 10}


def test_prices_that_sites_asked_are_summed_by_currency(tmp_path: Path) -> None:
    prices = {"a": "HTTP 402: USD 0.01", "b": "HTTP 402: USD 0.2", "c": "HTTP 402: EUR 1", "d": "HTTP 402"}
    failures = {f"http://{host}.example/{n}": price for host, price in prices.items() for n in range(3)}
    write_shard(tmp_path / "out", 0, rows_of([*failures, "http://e.example/"], failures))
    document = document_of(tmp_path / "out")
    assert document["consent"]["prices"] == {
        "EUR": {"rows": 3, "sum": "3"},
        "USD": {"rows": 6, "sum": "0.63"},
    }
    assert command(tmp_path / "out").returncode == 0
    assert "USD 0.63" in (tmp_path / "out" / "report.html").read_text()


def test_a_report_of_a_folder_without_metadata(image_server: ImageServer, tmp_path: Path) -> None:
    addresses = [*serve_photographs(image_server, 3), image_server.url("/status/404")]
    result = run(
        url_list=write_list(tmp_path / "list.txt", addresses, 8),
        output_folder=tmp_path / "out",
        output_format="dummy",
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "out/report.json").read_text())
    check_against_statistics(document, tmp_path / "out")
    assert document["read"]["metadata_read"] == 0
    assert "There are no metadata" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("output_format", ["files", "parquet", "tfrecord", "webdataset"])
def test_the_sheet_has_images_of_every_format(
    image_server: ImageServer, tmp_path: Path, output_format: str
) -> None:
    result = run(
        url_list=write_list(tmp_path / "list.txt", serve_photographs(image_server, 4), 12),
        output_folder=tmp_path / "out",
        output_format=output_format,
        number_sample_per_shard=5,
        processes_count=1,
        image_size=64,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "out/report.json").read_text())
    assert document["formats"]["output_format"] == output_format
    assert document["formats"]["stored_in_sample"] == {"JPEG": 12}
    keys = [each["key"] for each in document["sample"]]
    assert keys == ["000000000"[: len(keys[0])], *keys[1:]] == sorted(set(keys))
    assert len(keys) == 12
    assert (tmp_path / "out/report.html").read_text().count('src="data:image/webp;base64,') == 12
    verified = subprocess.run([COMMAND, "verify", str(tmp_path / "out")], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout
    assert "report" not in verified.stdout


def test_an_object_store(
    image_server: ImageServer, tmp_path: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": s3_server,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    bucket = f"report-{os.getpid()}"
    fsspec.filesystem("s3").mkdir(bucket)
    for output_format in ("webdataset", "parquet", "files"):
        output = f"s3://{bucket}/{output_format}"
        result = run(
            url_list=write_list(tmp_path / "list.txt", serve_photographs(image_server, 4), 20),
            output_folder=output,
            output_format=output_format,
            number_sample_per_shard=10,
            processes_count=1,
            image_size=64,
            environment={"FSSPEC_S3": json.dumps(options)},
        )
        assert result.returncode == 0, result.stderr
        assert f"report: {output}/report.html" in result.stdout
        document = json.loads(fsspec.filesystem("s3").cat(f"{output}/report.json"))
        assert document["totals"]["successes"] == document["totals"]["rows"] == 20
        assert document["formats"]["stored_in_sample"] == {"JPEG": 20}
        assert document["read"]["rows_read"] == 20
        assert document["images"]["after"]["longer_side"]["count"] == 20
        page = fsspec.filesystem("s3").cat(f"{output}/report.html").decode()
        assert page.count('src="data:image/webp;base64,') == 20


def test_of_very_many_shards_the_same_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write_shard(tmp_path, number, rows_of([f"http://a.example/{number}/{n}" for n in range(10)]))
    from img2dataset.errors import OutputError
    from img2dataset.storage.locations import locate

    folder = folders.open_folder(locate(str(tmp_path), "output_folder", OutputError))
    found = [folders.read_statistics(folder, most=7).shards for _ in range(2)]
    assert found[0] == found[1]
    assert len(set(found[0])) == 7
    statistics = folders.read_statistics(folder)
    chosen = folders.shards_of_rows(statistics, most_rows=100)
    assert len(chosen) == 10
    assert chosen == folders.shards_of_rows(statistics, most_rows=100) == sorted(chosen)
    assert chosen != [f"{number:05d}" for number in range(10)]


def test_a_part_of_the_shards_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from img2dataset.errors import OutputError
    from img2dataset.reporting.report import writing
    from img2dataset.storage.locations import locate

    for number in range(12):
        write_shard(tmp_path, number, rows_of([f"http://a.example/{number}/{n}" for n in range(10)]))
    monkeypatch.setattr(folders.read_statistics, "__defaults__", (8,))
    monkeypatch.setattr(folders.shards_of_rows, "__defaults__", (50,))
    writing.report_of_run(locate(str(tmp_path), "output_folder", OutputError), anew=True)
    page = (tmp_path / "report.html").read_text()
    assert "The folder has 12 shards; the numbers are of 8 of them, chosen by a seed." in page
    assert "is of 50 rows in 5 shards of 80." in page


def test_a_broken_shard_costs_its_part_and_no_more(tmp_path: Path) -> None:
    for number in range(4):
        write_shard(tmp_path, number, rows_of([f"http://a.example/{number}"]))
    (tmp_path / "00001.parquet").write_bytes(b"PAR1 nothing more")
    (tmp_path / "00002_stats.json").write_text('{"count": ')
    document = document_of(tmp_path)
    assert document["totals"]["rows"] == 3
    assert (document["read"]["statistics_unreadable"], document["read"]["metadata_unreadable"]) == (1, 1)
    assert document["hosts"]["most"][0]["rows"] == 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "report takes one output folder, or two"),
        (["a", "b", "c"], 2, "report takes one output folder, or two"),
        (["--by", "caption", "a", "b"], 2, "invalid choice: 'caption'"),
        (["nowhere"], 1, "'nowhere' does not exist; name the output folder of a run"),
        (["empty"], 1, "'empty' has nothing of a run in it"),
        (["empty", "empty"], 1, "'empty' has no metadata with a column 'url'"),
    ],
)
def test_mistakes_of_the_user_are_one_line(
    tmp_path: Path, words: list[str], status: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = subprocess.run(
        [COMMAND, "report", *words], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert result.returncode == status
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_a_file_of_the_name_that_is_someone_elses_stays(tmp_path: Path) -> None:
    write_shard(tmp_path / "out", 0, rows_of(["http://a.example/"]))
    (tmp_path / "out/report.html").write_text("<h1>my thesis</h1>")
    result = command(tmp_path / "out")
    assert result.returncode == 1
    assert (
        "report.html is there, and is not img2dataset's: it stays; --to names another folder" in result.stderr
    )
    assert (tmp_path / "out/report.html").read_text() == "<h1>my thesis</h1>"
    assert not (tmp_path / "out/report.json").exists()
    result = command(tmp_path / "out", "--to", tmp_path / "new/folder")
    assert result.stdout == f"report: {tmp_path}/new/folder/report.html\n"
    assert sorted(os.listdir(tmp_path / "new/folder")) == ["report.html", "report.json"]

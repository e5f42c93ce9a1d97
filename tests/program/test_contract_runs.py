"""Every option of the contract with 1.47.0, given on the command line, does what it is there for.

Each test fails if its option is ignored. Here: lists, folders, downloads and
the run; ``test_contract_options.py`` has the rest.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.formats.dataset import REPORT_NAMES
from img2dataset.options import option_specs
from tests.program.contract import BODIES, Maker, column, files, rows_of
from tests.program.runs import run, start
from tests.program.test_faults import wait_until, workers_of
from tests.servers import ImageServer


@pytest.mark.parametrize("input_format", ["txt", "csv", "tsv", "json", "jsonl", "parquet"])
def test_input_format_and_url_list_name_the_files_of_a_folder_that_are_read(
    make: Maker, tmp_path: Path, input_format: str
) -> None:
    # Plain and compressed files of all formats in one folder; the query says which one a URL is from.
    for name in ("txt", "csv", "tsv", "json", "jsonl"):
        urls = [f"{url}?{name}" for url in make.addresses]
        text = {
            "txt": "".join(f"{url}\n" for url in urls),
            "csv": "number,url\n" + "".join(f"{n},{url}\n" for n, url in enumerate(urls)),
            "tsv": "number\turl\n" + "".join(f"{n}\t{url}\n" for n, url in enumerate(urls)),
            "json": json.dumps([{"url": url} for url in urls]),
            "jsonl": "".join(json.dumps({"url": url}) + "\n" for url in urls),
        }[name]
        (tmp_path / f"list.{name}").write_text(text)
        (tmp_path / f"list.{name}.gz").write_bytes(gzip.compress(text.replace("?", "?gz-").encode()))
    pq.write_table(pa.table({"url": [f"{url}?parquet" for url in make.addresses]}), tmp_path / "list.parquet")

    def read(name: str) -> Any:
        return column(make(url_list=tmp_path, image_size=32, input_format=name), "url", "status")

    assert read(input_format) == [(f"{url}?{input_format}", "success") for url in make.addresses]
    if input_format != "parquet":
        expected = [(f"{url}?gz-{input_format}", "success") for url in make.addresses]
        assert read(f"{input_format}.gz") == expected


@pytest.mark.parametrize(
    ("output_format", "expected"),
    [
        ("files", ["00000", "00000.parquet", "00000_stats.json"]),
        ("webdataset", ["00000.parquet", "00000.tar", "00000_stats.json"]),
        ("parquet", ["00000.parquet", "00000_stats.json"]),
        ("tfrecord", ["00000.parquet", "00000.tfrecord", "00000_stats.json"]),
        ("dummy", ["00000_stats.json"]),
    ],
)
def test_output_format_says_which_files_there_are(
    make: Maker, output_format: str, expected: list[str]
) -> None:
    folder = make(output_format=output_format, report=True)
    found = {path.name for path in folder.glob("[!.]*")}
    assert sorted(found - REPORT_NAMES) == expected
    assert found & REPORT_NAMES == {"report.html", "report.json"}
    assert json.loads((folder / "00000_stats.json").read_text())["successes"] == 3
    if output_format != "dummy":
        assert ("jpg" in rows_of(folder)[0]) == (output_format == "parquet")


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"number_sample_per_shard": 2}, ["000000", "000001", "000010"]),
        ({"number_sample_per_shard": 100}, ["0000000", "0000001", "0000002"]),
        ({"number_sample_per_shard": 2, "oom_shard_count": 3}, ["0000", "0001", "0010"]),
    ],
)
def test_number_sample_per_shard_and_oom_shard_count_make_shards_and_keys(
    make: Maker, options: dict[str, int], keys: list[str]
) -> None:
    folder = make(**options)
    assert column(folder, "key") == keys
    shards = {key[: options.get("oom_shard_count", 5)] for key in keys}
    assert {path.name.removesuffix("_stats.json") for path in folder.glob("*_stats.json")} == shards


def test_incremental_mode_goes_on_starts_over_or_adds(
    make: Maker, image_server: ImageServer, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(image_server.put("/contract/modes.jpg", BODIES[2]))
    places = {"url_list": tmp_path / "list.txt", "output_folder": tmp_path / "out"}
    for mode, rows, requests in (
        ("incremental", 1, 1),
        ("incremental", 1, 1),
        ("overwrite", 1, 2),
        ("extend", 2, 3),
    ):
        folder = make(**places, incremental_mode=mode)
        assert (len(rows_of(folder)), image_server.count("/contract/modes.jpg")) == (rows, requests), mode


# Downloads


def test_timeout_ends_a_silence(make: Maker, image_server: ImageServer) -> None:
    url = image_server.put("/contract/late.jpg", BODIES[2], latency_s=280)
    (row,) = rows_of(make([url], timeout=0.5))
    assert row["status"] == "failed_to_download"
    assert row["error_message"].startswith("timeout")


def test_retries_is_how_often_a_failed_download_is_tried_again(
    make: Maker, image_server: ImageServer
) -> None:
    once, twice = (image_server.url(f"/flaky/contract-{n}?fail=2") for n in range(2))
    assert column(make([once], retries=1, disable_all_reencoding=True), "error_message") == ["HTTP 503"]
    assert column(make([twice], retries=2, disable_all_reencoding=True), "status") == ["success"]


def test_thread_count_is_how_many_downloads_a_process_has_in_flight(make: Maker) -> None:
    for threads in (1, 3):
        with ImageServer() as server:
            # After the first twenty none is answered before as many connections are open.
            url = server.url(f"/answers-when-open?connections={threads}")
            make([f"{url}&row={n}" for n in range(40)], thread_count=threads, timeout=240)
            assert server.statistics()["peak"] == threads


def test_processes_count_is_how_many_workers_there_are(tmp_path: Path, image_server: ImageServer) -> None:
    late = image_server.put("/contract/busy.jpg", BODIES[2], latency_s=0.5)
    (tmp_path / "list.txt").write_text("\n".join(f"{late}?{n}" for n in range(9)))
    options = {"url_list": tmp_path / "list.txt", "output_folder": tmp_path / "out"}
    process = start(**options, processes_count=3, number_sample_per_shard=1)
    most = 0

    def has_three() -> bool:
        nonlocal most
        most = max(most, len(workers_of(process)))
        return most >= 3

    wait_until(has_three, process)
    while process.poll() is None:
        most = max(most, len(workers_of(process)))
    assert process.communicate()[0]
    assert (process.returncode, most) == (0, 3)


def test_the_user_agent_token_is_sent_and_the_directives_addressed_to_it_are_kept(
    make: Maker, image_server: ImageServer
) -> None:
    urls = [
        image_server.put(f"/contract/tag-{n}.jpg", BODIES[2], headers=[("X-Robots-Tag", tag)])
        for n, tag in enumerate(("mytool: noai", "other: noai", "NoIndex", "nofollow"))
    ]

    def taken(**options: Any) -> list[bool]:
        return [status == "success" for status in column(make(urls, **options), "status")]

    assert taken() == [True, True, False, True]
    assert taken(user_agent_token="mytool") == [False, True, False, True]
    request = image_server.last_request("/contract/tag-1.jpg")
    assert request is not None
    assert "mytool" in request.lower().split("user-agent:")[1].splitlines()[0]
    assert taken(disallowed_header_directives="[]") == [True] * 4
    assert taken(disallowed_header_directives='["nofollow"]') == [True, True, True, False]


def test_ignore_ssl_certificate_accepts_a_certificate_nobody_signed(
    make: Maker, https_server: ImageServer
) -> None:
    url = https_server.put("/contract/secret.jpg", BODIES[2])
    (row,) = rows_of(make([url]))
    assert row["error_message"].startswith("TLS")
    assert column(make([url], ignore_ssl_certificate=True), "status") == ["success"]


# The run


def test_max_shard_retry_is_how_often_a_failed_shard_is_tried_again(
    tmp_path: Path, image_server: ImageServer
) -> None:
    for retries in (0, 2):
        path = f"/contract/large-{retries}"
        (tmp_path / "list.txt").write_text(image_server.put(path, bytes(3_000_000)))
        result = run(
            url_list=tmp_path / "list.txt",
            output_folder=tmp_path / f"out-{retries}",
            output_format="webdataset",
            disable_all_reencoding=True,
            processes_count=1,
            max_shard_retry=retries,
            largest_file=1_000_000,
        )
        assert result.returncode == 1, result.stderr
        assert "1 shard could not be made" in result.stdout
        assert image_server.count(path) == 1 + retries


def test_options_of_other_distributors_and_of_wandb_change_nothing_without_them(
    make: Maker, usual: Path
) -> None:
    """subjob_size is for pyspark and wandb_project for W&B: taken, checked, and of no effect here."""
    folder = make(subjob_size=1, wandb_project="another")
    assert files(folder) == files(usual)
    specs = option_specs()
    assert "pyspark" in specs["subjob_size"].help
    assert "W&B" in specs["wandb_project"].help
    (make.folder / "one.txt").write_text(make.addresses[0])
    given = {"url_list": make.folder / "one.txt", "subjob_size": 0}
    unused = run(**given, output_folder=make.folder / "unused")
    assert (unused.returncode, "subjob_size 0 has no effect" in unused.stderr) == (0, True)
    assert run(**given, distributor="pyspark").returncode == 2

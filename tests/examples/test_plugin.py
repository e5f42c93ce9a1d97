"""The package of ``examples/plugin``, installed by pip: the real command line takes what it adds."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from img2dataset.verifying import verify
from tests.program.runs import Dataset, read_dataset, run, serve_photographs
from tests.servers import ImageServer

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
{pages}
</urlset>
"""
PAGE = """<url><loc>https://site.example/{n}</loc>
  <image:image><image:loc>{url}</image:loc><image:caption>Caption &amp; {n}</image:caption></image:image>
</url>"""

pytestmark = pytest.mark.usefixtures("example_package")


def sitemap(urls: list[str]) -> str:
    return SITEMAP.format(pages="\n".join(PAGE.format(n=n, url=url) for n, url in enumerate(urls)))


def download(folder: Path, **options: Any) -> tuple[Dataset, subprocess.CompletedProcess[str]]:
    done = run(output_folder=folder, number_sample_per_shard=10, image_size=64, **options)
    assert done.returncode == 0, done.stderr
    return read_dataset(folder), done


@pytest.mark.parametrize("compressed", [False, True])
def test_a_list_in_the_format_of_a_package(
    tmp_path: Path, image_server: ImageServer, compressed: bool
) -> None:
    urls = [*serve_photographs(image_server), image_server.url("/status/404")]
    text = sitemap(urls).encode()
    name = "list.sitemap.gz" if compressed else "list.sitemap"
    (tmp_path / name).write_bytes(gzip.compress(text) if compressed else text)
    options = {"caption_col": "caption", "save_additional_columns": '["page"]', "output_format": "webdataset"}
    input_format = "sitemap.gz" if compressed else "sitemap"
    dataset, _ = download(tmp_path / "out", url_list=tmp_path / name, input_format=input_format, **options)
    assert dataset.statuses() == {"success": 24, "failed_to_download": 1}
    tables = [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    rows = [row for table in tables for row in table.select(["url", "caption", "page"]).to_pylist()]
    assert rows == [
        {"url": url, "caption": f"Caption & {n}", "page": f"https://site.example/{n}"}
        for n, url in enumerate(urls)
    ]


def test_a_list_that_breaks_off_is_no_success(tmp_path: Path, image_server: ImageServer) -> None:
    whole = sitemap(serve_photographs(image_server))
    (tmp_path / "list.sitemap").write_text(whole[: len(whole) * 2 // 3])
    done = run(url_list=tmp_path / "list.sitemap", input_format="sitemap", output_folder=tmp_path / "out")
    assert done.returncode == 1
    assert "is not a sitemap as input_format says: no element found" in done.stderr


def test_a_dataset_in_the_format_of_a_package_is_made_checked_mended_and_read(
    tmp_path: Path, image_server: ImageServer
) -> None:
    urls = [*serve_photographs(image_server), image_server.url("/flaky/zip?fail=1&status=503")]
    rows = "".join(f"{url},caption {n}\n" for n, url in enumerate(urls))
    (tmp_path / "list.csv").write_text("url,caption\n" + rows)
    folder = tmp_path / "out"
    options = {"url_list": tmp_path / "list.csv", "input_format": "csv", "caption_col": "caption"}
    options |= {
        "output_folder": folder,
        "output_format": "zip",
        "number_sample_per_shard": 10,
        "image_size": 64,
    }
    assert run(**options).returncode == 0
    before = contents_of(folder)
    assert len(before) == 3 * 24
    # The row that failed is retried, though what it gets is no image; the others stay bit for bit.
    again = run(**options, incremental_mode="retry_failed")
    assert again.returncode == 0, again.stderr
    assert image_server.count("/flaky/zip") == 2
    assert contents_of(folder) == before
    for images in (False, True):
        report = verify(str(folder), images=images)
        assert report.exit_status == 0, report
        assert report.successes == 24
    assert_read_by_training(folder, before)
    damaged = folder / "00001.zip"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    report = verify(str(folder))
    assert [bad.name for bad in report.bad] == ["00001"]
    assert "00001.zip is broken" in report.bad[0].line()
    verify(str(folder), remove=True)
    assert not damaged.exists()
    assert run(**options).returncode == 0
    assert contents_of(folder) == before


def contents_of(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as opened:
            found |= {name: opened.read(name) for name in opened.namelist()}
    return found


def assert_read_by_training(folder: Path, contents: dict[str, bytes]) -> None:
    """Where torch is installed."""
    if importlib.util.find_spec("torch") is None:
        return
    from img2dataset.training import ShardDataset, ShardStream

    samples = list(ShardDataset(folder, format="zip", image="bytes"))
    assert {f"{sample['metadata']['key']}.jpg": sample["img"] for sample in samples} == {
        name: image for name, image in contents.items() if name.endswith(".jpg")
    }
    assert {sample["caption"] for sample in samples} == {f"caption {n}" for n in range(24)}
    streamed = list(ShardStream(str(folder), format="zip", image="bytes"))
    assert [sample["img"] for sample in streamed] == [sample["img"] for sample in samples]


def test_a_run_in_one_process_makes_the_same_dataset(tmp_path: Path, image_server: ImageServer) -> None:
    (tmp_path / "list.txt").write_text("\n".join(serve_photographs(image_server)))
    found = {}
    for engine in ("multiprocessing", "one_process"):
        options = {"distributor": engine, "output_format": "webdataset", "url_list": tmp_path / "list.txt"}
        found[engine], done = download(tmp_path / engine, **options)
        assert "24 (100.0%) succeeded" in done.stdout
    one, many = found["one_process"], found["multiprocessing"]
    assert (one.images, one.rows) == (many.images, many.rows)


@pytest.mark.parametrize(
    ("option", "name", "known"),
    [
        ("distributor", "one_proces", "multiprocessing, pyspark, ray, ranks, one_process"),
        ("input_format", "sitemaps", "sitemap"),
        ("output_format", "zap", "dummy, zip"),
    ],
)
def test_a_name_that_nobody_has_is_told_with_those_of_packages(
    tmp_path: Path, option: str, name: str, known: str
) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.jpg")
    done = run(url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", **{option: name})
    assert done.returncode == 2
    assert known in done.stderr


def test_the_help_names_what_packages_add() -> None:
    words = [sys.executable, "-m", "img2dataset", "--help_all"]
    shown = " ".join(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert "one_process" in shown
    assert "sitemap" in shown

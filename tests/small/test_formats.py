"""Small whole runs through every format, on whatever versions of the packages are installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import photograph
from tests.program.contract import Maker, column, rows_of
from tests.program.runs import run_here
from tests.servers import ImageServer, TestAuthority


@pytest.fixture(scope="session")
def make(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    addresses = [image_server.put(f"/small/{n}.jpg", photograph(300 + 40 * n, 200, seed=n)) for n in range(4)]
    return Maker(addresses, tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord", "dummy"])
def test_every_output_format_is_written_and_verified(make: Maker, output_format: str) -> None:
    folder = make(output_format=output_format, image_size=64)
    stats = json.loads((folder / "00000_stats.json").read_text())
    assert (stats["count"], stats["successes"]) == (4, 4)
    if output_format != "dummy":
        assert column(folder, "width", "height") == [(64, 64)] * 4
        from img2dataset import verify

        assert verify(str(folder), images=True).exit_status == 0


@pytest.mark.parametrize("input_format", ["txt.gz", "csv", "tsv", "json", "jsonl", "parquet"])
def test_every_input_format_is_read(make: Maker, tmp_path: Path, input_format: str) -> None:
    rows: list[dict[str, Any]] = [
        {"url": url, "caption": f"picture {n}", "number": n} for n, url in enumerate(make.addresses)
    ]
    path = tmp_path / f"list.{input_format}"
    columns = {"caption_col": "caption", "save_additional_columns": '["number"]'}
    if input_format == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif input_format == "json":
        path.write_text(json.dumps(rows))
    elif input_format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif input_format == "txt.gz":
        import gzip

        path.write_bytes(gzip.compress("\n".join(make.addresses).encode()))
        columns = {}
    else:
        mark = "," if input_format == "csv" else "\t"
        lines = [mark.join(rows[0]), *(mark.join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines))
    folder = make(url_list=path, input_format=input_format, image_size=32, **columns)
    assert column(folder, "status") == ["success"] * 4
    if columns:
        assert column(folder, "caption", "number") == [(f"picture {n}", n) for n in range(4)]


@pytest.mark.parametrize(
    "options",
    [
        {"encode_format": "png", "encode_quality": 1},
        {"encode_format": "webp", "exact_resize": True},
        {"resize_mode": "center_crop", "exact_resize": True, "compute_hash": "md5"},
        {"resize_mode": "no", "skip_reencode": True},
        {"dns": "system", "thread_count": 1, "retries": 1},
    ],
)
def test_images_are_made_in_every_way(make: Maker, options: dict[str, Any]) -> None:
    assert column(make(**options), "status") == ["success"] * 4


def test_regions_are_blurred(make: Maker, tmp_path: Path) -> None:
    rows = [{"url": url, "boxes": [[0.1, 0.1, 0.6, 0.5]]} for url in make.addresses]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "boxes.parquet")
    given = {"url_list": tmp_path / "boxes.parquet", "input_format": "parquet", "bbox_col": "boxes"}
    for exact in (False, True):
        assert column(make(**given, exact_resize=exact), "status") == ["success"] * 4


def test_https_is_verified(https_server: ImageServer, certificates: TestAuthority, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(https_server.put("/small/a.jpg", photograph(90, 60)) + "\n")
    for bundle, status in ((certificates.authority_file, "success"), (None, "failed_to_download")):
        out = tmp_path / status
        options = {"ca_bundle": bundle} if bundle else {}
        options |= {"url_list": tmp_path / "list.txt", "output_folder": out, "processes_count": 1}
        assert run_here(**options).returncode == 0
        assert [row["status"] for row in rows_of(out)] == [status]


def test_a_folder_is_gone_on_with_and_extended_by_new_rows(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n".join(make.addresses[:3]))
    given = {"url_list": tmp_path / "list.txt", "output_folder": tmp_path / "out", "processes_count": 1}
    assert run_here(**given).returncode == 0
    (tmp_path / "list.txt").write_text("\n".join(make.addresses))
    grown = run_here(**given, incremental_mode="new_only")
    assert grown.returncode == 0, grown.stderr
    assert len(rows_of(tmp_path / "out")) == 4
    assert run_here(**given, incremental_mode="retry_failed", allow_mixing=True).returncode == 0


def test_lists_in_memory_are_taken(make: Maker, tmp_path: Path) -> None:
    from img2dataset import download

    rows = [{"url": url, "score": np.float32(0.5)} for url in make.addresses]
    summary = download(rows, 32, str(tmp_path / "out"), 1, save_additional_columns=["score"])
    assert summary.successes == 4

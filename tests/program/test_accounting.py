"""Every row in is one row out, with its image or its reason: the main job, at the level of the program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import webdataset

from tests.program.runs import read_dataset, run, serve_photographs, write_list
from tests.servers import ImageServer, TestAuthority

ROWS = 4000
SHARD = 1000


def test_four_thousand_rows_are_the_same_dataset_over_http_and_https_with_1_2_and_4_processes(
    image_server: ImageServer, https_server: ImageServer, certificates: TestAuthority, tmp_path: Path
) -> None:
    datasets = []
    for server, processes in ((image_server, 1), (https_server, 2), (image_server, 4)):
        addresses = serve_photographs(server, folder="accounting")
        # A dead link among each thirty, so that failures are accounted for too.
        addresses += [server.url("/status/404")] * 1
        output = tmp_path / f"{server.scheme}-{processes}"
        result = run(
            url_list=write_list(tmp_path / f"{processes}.txt", addresses, ROWS),
            output_folder=output,
            output_format="webdataset",
            number_sample_per_shard=SHARD,
            processes_count=processes,
            thread_count=32,
            image_size=64,
            environment={"SSL_CERT_FILE": certificates.authority_file},
        )
        assert result.returncode == 0, result.stderr
        dataset = read_dataset(output)
        assert [row["key"] for row in dataset.rows] == [f"{n:08d}" for n in range(ROWS)]
        assert dataset.statuses() == {"success": ROWS - ROWS // 25, "failed_to_download": ROWS // 25}
        assert dataset.failures() == {"HTTP 404": ROWS // 25}
        datasets.append(dataset)
    assert datasets[0].images == datasets[1].images == datasets[2].images


def test_tars_are_read_by_tar_and_by_the_webdataset_library(
    image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server)
    lines = ["url,caption\n"] + [f"{url},caption {n} of a photograph\n" for n, url in enumerate(addresses)]
    (tmp_path / "list.csv").write_text("".join(lines))
    result = run(
        url_list=tmp_path / "list.csv",
        input_format="csv",
        caption_col="caption",
        output_folder=tmp_path / "out",
        output_format="webdataset",
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    listing = subprocess.run(
        ["tar", "-tf", tmp_path / "out/00000.tar"], capture_output=True, text=True, check=True
    )
    assert len(listing.stdout.split()) == 3 * len(addresses)
    samples = list(webdataset.WebDataset(str(tmp_path / "out/00000.tar"), shardshuffle=False).decode("pil"))
    assert len(samples) == len(addresses)
    for sample in samples:
        assert sample["jpg"].size == (256, 256)
        assert sample["txt"] == f"caption {int(sample['__key__'])} of a photograph"
        assert sample["json"]["key"] == sample["__key__"]


@pytest.mark.parametrize("output_format", ["files", "webdataset"])
def test_a_list_of_garbage_is_a_dataset_of_failures_with_their_reasons(
    output_format: str, tmp_path: Path
) -> None:
    garbage = ["not a url", "http://", "ht!tp://x", "file:///etc/passwd", "\x00\x01", "<html>", "http://[::1"]
    (tmp_path / "list.txt").write_text("\n".join(garbage))
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        output_format=output_format,
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(tmp_path / "out")
    assert dataset.statuses() == {"failed_to_download": len(garbage)}
    assert all(message.split(":")[0] in ("invalid url", "scheme") for message in dataset.failures())


def test_rows_with_no_url_or_one_that_is_no_text_fail_and_keep_their_place(
    image_server: ImageServer, tmp_path: Path
) -> None:
    good = serve_photographs(image_server, 1)[0]
    (tmp_path / "list.jsonl").write_text(
        f'{{"url": null}}\n{{"url": 7}}\n{{"url": "{good}"}}\n{{}}\nnonsense\n'
    )
    result = run(
        url_list=tmp_path / "list.jsonl",
        input_format="jsonl",
        output_folder=tmp_path / "out",
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(tmp_path / "out")
    assert [row["status"] for row in dataset.rows] == ["failed_to_download"] * 2 + ["success"] + [
        "failed_to_download"
    ] * 2
    assert [row["error_message"] for row in dataset.rows] == [
        "invalid url: missing",
        "invalid url: not a string",
        None,
        "invalid url: missing",
        "invalid row: not a JSON object",
    ]


def test_equal_urls_in_a_shard_are_fetched_once_and_written_for_every_row(
    image_server: ImageServer, tmp_path: Path
) -> None:
    url = serve_photographs(image_server, 1, folder="fetched-once")[0]
    lines = ["url,caption\n"] + [f"{url},caption {n}\n" for n in range(50)]
    (tmp_path / "list.csv").write_text("".join(lines))
    result = run(
        url_list=tmp_path / "list.csv",
        input_format="csv",
        caption_col="caption",
        output_folder=tmp_path / "out",
        output_format="webdataset",
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(tmp_path / "out")
    assert image_server.count("/fetched-once/0.jpg") == 1
    assert dataset.captions == {f"{n:09d}": f"caption {n}" for n in range(50)}
    assert len(set(dataset.images.values())) == 1
    assert len(dataset.images) == 50

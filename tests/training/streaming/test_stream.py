"""``stream``: every row once, bounded, and nothing written."""

from __future__ import annotations

import io
import itertools
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import img2dataset.training
from img2dataset.errors import Img2datasetError, InputError, OptionError
from img2dataset.training import stream
from img2dataset.training.streaming.rows import StreamRow, open_list_of, rows_as_claimed, stream_options
from tests.distributing.clusters import children
from tests.imaging.consent.builders import jpeg, saying, xmp_segment
from tests.servers import ImageServer


def rows_of(urls: list[str]) -> list[dict[str, object]]:
    return [{"url": url, "caption": f"caption {n}", "n": n} for n, url in enumerate(urls)]


OPTIONS = {"caption_col": "caption", "save_additional_columns": ["n"], "image_size": 32}


@pytest.mark.parametrize("processes_count", [1, 2])
def test_every_row_comes_once_with_its_own_image_and_metadata(
    served, image_server: ImageServer, processes_count: int
) -> None:
    urls = [*served(100), image_server.url("/status/404"), ""]
    samples = list(
        stream(
            rows_of(urls),
            failures=True,
            processes_count=processes_count,
            number_sample_per_shard=10,
            **OPTIONS,
        )
    )
    by_row = {sample.row: sample for sample in samples}
    assert len(samples) == len(by_row) == 102
    for row in range(100):
        sample = by_row[row]
        assert (sample.status, sample.caption, sample.metadata["n"]) == ("success", f"caption {row}", row)
        assert sample.key == f"{row // 10:05d}{row % 10}"
        assert Image.open(io.BytesIO(sample.image)).size == (32, 32)
        assert (sample.metadata["original_width"], sample.metadata["original_height"]) == (96, 64)
    assert by_row[100].error_message == "HTTP 404"
    assert by_row[101].error_message == "invalid url: missing"
    assert by_row[100].image is None


@pytest.mark.parametrize("shard_rows", [7, 32, 50, 1000])
def test_claimed_rows_are_all_rows_once_whoever_is_faster(shard_rows: int) -> None:
    options = stream_options(
        [f"http://127.0.0.1/{n}" for n in range(200)], {"number_sample_per_shard": shard_rows}
    )
    numbers = itertools.count()
    consumers = [rows_as_claimed(open_list_of(options), options, numbers.__next__) for _ in range(3)]
    taken: list[list[StreamRow]] = [[], [], []]
    for turn in itertools.cycle([0, 0, 0, 1, 2, 0]):
        row = next(consumers[turn], None)
        if row is None:
            break
        taken[turn].append(row)
    for rest, rows in zip(consumers, taken, strict=True):
        rows.extend(rest)
    assert sorted(row.number for rows in taken for row in rows) == list(range(200))
    assert all(row.url == f"http://127.0.0.1/{row.number}" for rows in taken for row in rows)
    assert len(taken[0]) > len(taken[1]) >= 32


def test_failures_stay_away_unless_asked_for(served, image_server: ImageServer) -> None:
    urls = [*served(3), image_server.url("/status/404")]
    assert sorted(sample.row for sample in stream(rows_of(urls), **OPTIONS)) == [0, 1, 2]


def test_an_image_that_refuses_training_is_no_sample_of_a_strict_stream(image_server: ImageServer) -> None:
    body = jpeg(xmp_segment(saying("DMI-PROHIBITED")))
    urls = [image_server.put("/prohibited.jpg", body)]
    options = {"failures": True, "image_size": 32, "save_consent": True}
    (usual,), (strict,) = (list(stream(urls, consent=each, **options)) for each in ("usual", "strict"))
    assert (usual.status, strict.error_message) == ("success", "opt-out: IPTC data mining")
    assert strict.image is None
    for sample in (usual, strict):
        assert '"value": "DMI-PROHIBITED"' in sample.metadata["consent"]


def test_images_come_as_asked_for(served) -> None:
    urls = served(1)
    kinds = {
        image: next(stream(urls, image=image, image_size=32)).image for image in ("bytes", "array", "pil")
    }
    assert kinds["array"].shape == (32, 32, 3)
    assert kinds["array"].dtype == np.uint8
    assert kinds["pil"].size == (32, 32)
    assert (np.asarray(kinds["pil"]) == kinds["array"]).all()
    stored = np.asarray(Image.open(io.BytesIO(kinds["bytes"])).convert("RGB")).astype(int)
    assert abs(stored - kinds["array"]).mean() < 4


def test_a_url_that_many_rows_share_is_fetched_once(served, requests_of) -> None:
    urls = served(1)
    samples = list(stream(urls * 10, image_size=32))
    assert sorted(sample.row for sample in samples) == list(range(10))
    assert requests_of(urls) == 1


@pytest.mark.parametrize("processes_count", [1, 2])
def test_a_consumer_that_waits_holds_the_downloads_back(served, requests_of, processes_count: int) -> None:
    urls = served(400)
    # Uncompressed, so that no buffer of a pipe holds many of them.
    samples = stream(
        urls,
        look_ahead=16,
        thread_count=8,
        processes_count=processes_count,
        image_size=128,
        encode_format="png",
        encode_quality=0,
    )
    next(samples)
    seen = -1
    while seen != (seen := requests_of(urls)):
        time.sleep(0.3)
    assert seen < 350
    assert len(list(samples)) == 399


def test_a_process_that_is_killed_ends_the_stream_with_an_error(served) -> None:
    before = own_children()
    samples = stream(served(400), look_ahead=1, thread_count=4, processes_count=2, image_size=32)
    next(samples)
    started = own_children() - before
    assert len(started) == 2
    os.kill(min(started), signal.SIGKILL)
    with pytest.raises(Img2datasetError, match="ended unexpectedly, status -9"):
        list(samples)
    assert not own_children() & started


def test_stopping_early_ends_the_processes(served) -> None:
    before = own_children()
    samples = stream(served(400), look_ahead=1, thread_count=4, processes_count=3, image_size=32)
    next(samples)
    started = own_children() - before
    assert len(started) == 3
    samples.close()
    assert not own_children() & started


def own_children() -> set[int]:
    return set(children(os.getpid()))


def test_stopping_early_ends_the_threads(served) -> None:
    before = set(threading.enumerate())
    samples = stream(served(50), look_ahead=1, image_size=32)
    next(samples)
    samples.close()
    assert set(threading.enumerate()) <= before


def test_a_file_is_read_by_its_ending_and_nothing_is_written(served, tmp_path: Path, monkeypatch) -> None:
    urls = served(4)
    (tmp_path / "list.csv").write_text("url,caption\n" + "\n".join(f"{url},a" for url in urls))
    monkeypatch.chdir(tmp_path)
    samples = list(stream(str(tmp_path / "list.csv"), caption_col="caption", image_size=32))
    assert [sample.caption for sample in samples] == ["a"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_what_has_no_meaning_for_a_stream_is_refused_before_it_begins(served, tmp_path: Path) -> None:
    for options in (
        {"output_folder": "x"},
        {"distributor": "ray"},
        {"image_sise": 3},
        {"image": "tensor"},
        {"look_ahead": 0},
    ):
        with pytest.raises(OptionError, match=next(iter(options))):
            stream(["http://127.0.0.1/a.jpg"], **options)
    with pytest.raises(InputError):
        stream(str(tmp_path / "none.txt"))


def test_a_generator_is_read_in_one_process_and_refused_in_several(served) -> None:
    urls = served(3)
    assert len(list(stream((url for url in urls), image_size=32))) == 3
    with pytest.raises(OptionError, match="processes_count=1"):
        next(stream((url for url in urls), processes_count=2))


def test_importing_the_package_does_not_import_pytorch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, img2dataset, img2dataset.training; from img2dataset.training import stream, load_image;"
    )
    code += "assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(img2dataset.training.__all__) <= set(dir(img2dataset.training))
    for name in img2dataset.training.__all__:
        assert getattr(img2dataset.training, name) is not None

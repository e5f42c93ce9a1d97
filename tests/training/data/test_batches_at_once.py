"""A batch is downloaded at once, whatever dataset its rows are of: the server waits until all have asked."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from img2dataset.errors import OptionError
from img2dataset.training import (
    BucketSampler,
    ConcatDataset,
    ImageLoader,
    ImageTextDataset,
    MetadataDataset,
    ShuffleSampler,
    collate,
)
from img2dataset.training.batch.collation import EmptyBatch
from tests.pictures import photograph

TOGETHER = 8


@pytest.fixture
def gathering() -> Iterator[list[str]]:
    """URLs of as many images; 503 for all that come without the others."""
    gate = threading.Barrier(TOGETHER, timeout=50)

    class Gathering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                gate.wait()
            except threading.BrokenBarrierError:
                self.send_error(503)
                return
            body = photograph(40, 30, int(self.path.strip("/")))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = TOGETHER  # else some are sent back, and come a second later

    server = Server(("127.0.0.1", 0), Gathering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield [f"http://127.0.0.1:{server.server_port}/{number}" for number in range(TOGETHER)]
    server.shutdown()
    thread.join()
    server.server_close()


def rows_of(urls: list[str]) -> list[dict[str, Any]]:
    return [{"image": url, "caption": f"picture {n}"} for n, url in enumerate(urls)]


def once() -> ImageLoader:
    return ImageLoader(retries=0, timeout_s=100, deadline_s=100)


def pictures_in(batches: Any) -> list[Any]:
    return [sample for batch in batches for sample in batch]


def test_rows_of_metadata_are_downloaded_at_once(gathering: list[str]) -> None:
    dataset = MetadataDataset(rows_of(gathering), loader=once())
    samples = pictures_in(DataLoader(dataset, TOGETHER, collate_fn=list))
    assert [sample["caption"] for sample in samples] == [f"picture {n}" for n in range(TOGETHER)]
    assert [sample["image"].size for sample in samples] == [(40, 30)] * TOGETHER


def test_several_columns_and_lists_of_metadata_are_downloaded_at_once(gathering: list[str]) -> None:
    a, b, c, d, *others = gathering
    rows = [{"image": a, "layers": [b, c], "n": 1}, {"image": d, "layers": others, "n": 2}]
    dataset = MetadataDataset(rows, image_columns=["image", "layers"], loader=once())
    first, second = dataset.__getitems__([0, 1])
    assert (first["n"], len(first["layers"]), second["n"], len(second["layers"])) == (1, 2, 2, 4)
    assert second["layers"][3].size == first["image"].size == (40, 30)


def test_operators_that_load_and_go_on_are_downloaded_at_once(gathering: list[str]) -> None:
    dataset = MetadataDataset(
        [{"image": url} for url in gathering],
        image_columns=[],
        operators={"image": once() >> (lambda picture: picture.size) >> max},
    )
    assert [row["image"] for row in dataset.__getitems__(range(TOGETHER))] == [40] * TOGETHER


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_of_several_datasets_is_downloaded_at_once(gathering: list[str], workers: int) -> None:
    rows = rows_of(gathering)
    inner = ImageTextDataset(rows[3:], loader=once())
    dataset = ConcatDataset(
        [
            ImageTextDataset(rows[:2], loader=once()),
            ConcatDataset([Subset(inner, [0, 2, 4]), ImageTextDataset(rows[2:3], loader=once())]),
            Subset(inner, [3, 1]),
        ]
    )
    (samples,) = DataLoader(dataset, TOGETHER, num_workers=workers, collate_fn=list)
    order = [0, 1, 3, 5, 7, 2, 6, 4]
    assert [sample["caption"] for sample in samples] == [f"picture {n}" for n in order]


def folder_dataset(folder: Path, **options: Any) -> ImageTextDataset:
    transform = {"random_crop": [16, 16], "horizontal_flip": 0.5}
    return ImageTextDataset(folder, **{"img_transform": transform, "seed": 3, **options})


@pytest.mark.parametrize("numbers", [[0, 5, 6, 11], [11, 0, 11], [-1, 2]])
def test_samples_are_those_of_the_datasets_in_the_order_asked_for(
    pictures_folder: Path, numbers: list[int]
) -> None:
    parts = [folder_dataset(pictures_folder), folder_dataset(pictures_folder, seed=4)]
    whole = ConcatDataset(parts)
    whole.set_epoch(2)
    assert len(whole) == 12
    expected = [parts[number % 12 // 6][number % 6] for number in numbers]
    found = whole.__getitems__([number % 12 for number in numbers])
    for sample, other, number in zip(found, expected, numbers, strict=True):
        assert sample["index"] == other["index"]
        assert torch.equal(sample["img"], other["img"])
        assert torch.equal(whole[number]["img"], other["img"])


def test_an_epoch_differs_from_the_one_before_in_every_part(pictures_folder: Path) -> None:
    whole = ConcatDataset([folder_dataset(pictures_folder), Subset(folder_dataset(pictures_folder), [0, 1])])
    loader = DataLoader(whole, 8, sampler=ShuffleSampler(whole, shuffle=False), collate_fn=collate)
    first, second = (next(iter(list(loader)))["img"] for _ in range(2))
    assert not torch.equal(first[:6], second[:6])
    assert not torch.equal(first[6:], second[6:])


def test_buckets_go_over_all_parts(pictures_folder: Path, tmp_path: Path) -> None:
    buckets = {"sizes": [[64, 64], [96, 64], [64, 96]]}
    (tmp_path / "tall").mkdir()
    for n in range(5):
        (tmp_path / "tall" / f"{n}.jpg").write_bytes(photograph(60, 90, n))
    parts = [
        ImageTextDataset(pictures_folder, buckets=buckets, img_transform={}),
        Subset(ImageTextDataset(tmp_path / "tall", buckets=buckets, img_transform={}), [4, 0, 2]),
    ]
    whole = ConcatDataset(parts)
    assert whole.bucket_ids().tolist()[6:] == [2, 2, 2]
    batches = list(
        DataLoader(whole, batch_sampler=BucketSampler(whole, 2), num_workers=1, collate_fn=collate)
    )
    assert sum(len(batch["index"]) for batch in batches) == 9
    other = ImageTextDataset(tmp_path / "tall", buckets={"sizes": [[32, 32]]})
    for second in (other, ImageTextDataset(tmp_path / "tall")):
        with pytest.raises(OptionError, match="not all the same buckets"):
            BucketSampler(ConcatDataset([parts[0], second]), 2)


def test_what_is_skipped_is_told_by_its_number_over_all(pictures_folder: Path) -> None:
    rows = [{"image": str(pictures_folder / "0.jpg")}, {"image": "none.jpg"}]
    part = ImageTextDataset(rows, on_error="skip")
    whole = ConcatDataset([folder_dataset(pictures_folder, on_error="skip"), Subset(part, [1, 0])])
    (samples,) = DataLoader(whole, 8, num_workers=1, collate_fn=list)
    assert len(samples) == 7
    assert list(whole.failures) == [6]
    assert whole[6] is None
    with pytest.raises(EmptyBatch, match="No such file"):
        whole.__getitems__([6, 6])


def test_what_cannot_be_concatenated_is_refused() -> None:
    with pytest.raises(OptionError, match="is empty"):
        ConcatDataset([])
    with pytest.raises(OptionError, match="ChainDataset"):
        ConcatDataset([iter([1])])


@pytest.mark.parametrize("on_error", ["skip", "replace"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_failures_of_workers_are_known_to_the_training(
    pictures_folder: Path, on_error: Any, method: str
) -> None:
    rows = [{"image": name} for name in ("0.jpg", "none.jpg", "2.jpg", "4.jpg", "gone.jpg", "0.jpg")]
    dataset = ImageTextDataset(
        rows, base_path=pictures_folder, on_error=on_error, img_transform={"resize": [8, 8]}, seed=0
    )
    loader = DataLoader(
        dataset, 3, num_workers=2, collate_fn=collate, multiprocessing_context=method, persistent_workers=True
    )
    for _epoch in range(2):
        assert sum(len(batch["index"]) for batch in loader) == (4 if on_error == "skip" else 6)
        assert sorted(dataset.failures) == [1, 4]
    assert "No such file" in dataset.failures[1]


def test_the_failures_of_workers_are_logged_once_over_all_epochs(
    pictures_folder: Path, tmp_path: Path
) -> None:
    rows = [{"image": "0.jpg"}, {"image": "none.jpg"}] * 2
    dataset = ImageTextDataset(rows, base_path=pictures_folder, on_error="skip")
    logger = logging.getLogger("img2dataset")
    handler = logging.FileHandler(tmp_path / "log")  # workers write to it as well
    logger.addHandler(handler)
    try:
        for _epoch in range(3):
            list(DataLoader(dataset, 2, num_workers=1, collate_fn=collate))
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert (tmp_path / "log").read_text().count("is left out") == 2  # rows 1 and 3


def test_the_note_of_failures_goes_with_the_dataset(pictures_folder: Path) -> None:
    dataset = ImageTextDataset([{"image": "none.jpg"}], base_path=pictures_folder, on_error="skip")
    note = Path(dataset._failures._path)
    assert not note.exists()
    assert dataset[0] is None
    assert note.exists()
    del dataset
    gc.collect()
    assert not note.exists()

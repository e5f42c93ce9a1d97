"""Finished outputs of every format, read back by number and as a stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from img2dataset import download
from img2dataset.errors import InputError, OptionError
from img2dataset.plugins import FORMATS as FORMAT_PLUGINS
from img2dataset.training import ShardDataset, ShardStream, collate
from img2dataset.training.data.shard_folder import FinishedShards
from tests.installed_packages import Install
from tests.pictures import photograph
from tests.servers import ImageServer

FORMATS = ["files", "webdataset", "parquet", "tfrecord"]


@pytest.fixture(scope="module")
def outputs(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a format: 20 rows in shards of 8, one of each shard lost; widths from 40 to 59."""
    folder = tmp_path_factory.mktemp("outputs")
    rows = []
    for n in range(20):
        url = image_server.put(f"/shards/{n}.jpg", photograph(40 + n, 40, n))
        rows.append(
            {"url": image_server.url("/status/404") if n % 8 == 5 else url, "caption": f"caption {n}", "n": n}
        )
    for output_format in FORMATS:
        download(
            url_list=rows,
            output_folder=str(folder / output_format),
            output_format=output_format,
            caption_col="caption",
            save_additional_columns=["n"],
            number_sample_per_shard=8,
            resize_mode="no",
            processes_count=1,
        )
    return folder


SUCCESSES = [n for n in range(20) if n % 8 != 5]


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("workers", [0, 2])
def test_every_success_is_read_back_with_its_own_image_and_caption(
    outputs: Path, output_format: str, workers: int
) -> None:
    dataset = ShardDataset(outputs / output_format, seed=0)
    assert len(dataset) == len(SUCCESSES)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for n, sample in zip(SUCCESSES, loader, strict=True):
        assert sample["img"].size == (40 + n, 40)
        assert sample["caption"] == f"caption {n}"
        assert (sample["metadata"]["n"], sample["metadata"]["width"]) == (n, 40 + n)
        assert sample["metadata"]["key"].endswith(f"{n // 8}{n % 8}")


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_every_success_once(outputs: Path, output_format: str, workers: int) -> None:
    stream = ShardStream(f"file://{outputs / output_format}", img_transform={"resize": [8, 8]})
    batches = list(DataLoader(stream, batch_size=4, num_workers=workers, collate_fn=collate))
    assert sorted(row["n"] for batch in batches for row in batch["metadata"]) == SUCCESSES


def test_ranks_divide_the_shards_of_a_stream_and_shuffling_follows_from_the_seed(outputs: Path) -> None:
    def order(rank: int, world_size: int, epoch: int, **options: Any) -> list[int]:
        stream = ShardStream(outputs / "webdataset", rank=rank, world_size=world_size, **options)
        stream.set_epoch(epoch)
        return [sample["metadata"]["n"] for sample in stream]

    assert sorted(order(0, 2, 0) + order(1, 2, 0)) == SUCCESSES
    shuffled = {"shuffle_shards": True, "shuffle_buffer": 5, "seed": 3}
    first = order(0, 1, 0, **shuffled)
    assert sorted(first) == SUCCESSES
    assert first != SUCCESSES
    assert order(0, 1, 0, **shuffled) == first
    assert order(0, 1, 1, **shuffled) != first


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("width >= 50", [n for n in SUCCESSES if n >= 10]),
        ("45 <= width < 50 or n == 19", [6, 7, 8, 9, 19]),
        ("n in [1, 2, 5] and caption is not None", [1, 2]),
        ("not n > 2", [0, 1, 2]),
        ("caption == 'caption 7'", [7]),
        ("width / height > 1.4", [17, 18, 19]),
        ("error_message is None and n not in (0, 1)", SUCCESSES[2:]),
    ],
)
def test_filters_ask_the_metadata(outputs: Path, where: str, expected: list[int]) -> None:
    dataset = ShardDataset(outputs / "webdataset", where=where)
    assert dataset.metadata().column("n").to_pylist() == expected
    stream = ShardStream(outputs / "parquet", where=where)
    assert [sample["metadata"]["n"] for sample in stream] == expected


@pytest.mark.parametrize(
    "where",
    [
        "widht > 5",
        "width",
        "width >",
        "__import__('os').system('true') == 0",
        "width > n.real",
        "n in 5",
        "caption > 5",
    ],
)
def test_a_filter_that_is_none_is_named_and_never_run(outputs: Path, where: str) -> None:
    with pytest.raises(OptionError, match="where is"):
        ShardDataset(outputs / "webdataset", where=where)


def test_columns_bound_what_is_kept(outputs: Path) -> None:
    dataset = ShardDataset(outputs / "tfrecord", columns=["n"], image="bytes")
    assert set(dataset[0]["metadata"]) == {"key", "caption", "n"}
    assert dataset[0]["img"][:2] == b"\xff\xd8"
    with pytest.raises(OptionError, match="'m'"):
        ShardDataset(outputs / "tfrecord", columns=["m"])


def test_shards_that_are_not_done_are_not_read(outputs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(outputs / "webdataset", tmp_path / "copy")
    os.unlink(tmp_path / "copy" / "00001_stats.json")
    assert ShardDataset(tmp_path / "copy").metadata().column("n").to_pylist() == [
        n for n in SUCCESSES if n // 8 != 1
    ]


def test_a_folder_without_a_finished_dataset_says_what_is_missing(outputs: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(InputError, match="cannot be read"):
        ShardDataset(tmp_path / "none")
    with pytest.raises(InputError, match="no finished shard"):
        ShardDataset(tmp_path)
    shutil.copytree(outputs / "tfrecord", tmp_path / "copy")
    path = tmp_path / "copy" / "00000.tfrecord"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"00000\.tfrecord of .* is broken: it ends at byte"):
        ShardDataset(tmp_path / "copy")[0]


COUNTER = """
from img2dataset.formats.dummy import Format


class Counter(Format):
    name = "counter"
"""


@pytest.mark.parametrize("name", ["dummy", "counter", "tarball"])
def test_a_dataset_cannot_be_read_in_a_format_that_keeps_nothing_or_that_there_is_not(
    install: Install, tmp_path: Path, name: str
) -> None:
    install("counter", COUNTER, f"[{FORMAT_PLUGINS}]\ncounter = counter:Counter\n")
    others = "" if name == "counter" else ", 'counter'"
    message = f"format is '{name}'; it takes 'files', 'webdataset', 'parquet', 'tfrecord'{others}$"
    with pytest.raises(OptionError, match=message):
        FinishedShards(str(tmp_path), name)

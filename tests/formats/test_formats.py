"""Each output format, read back by the programs that its users read it with."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from img2dataset.formats import parquet
from img2dataset.types import Sample
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import (
    failure,
    input_table,
    leftovers,
    settings_for,
    statistics_of,
    succeeded,
    success,
    usual_samples,
    visible,
    write_shard,
)


def expected_json(table: pa.Table, sample: Sample) -> bytes:
    """The text of KEY.json as Python's own encoder writes it."""
    return json.dumps(table.slice(sample.index, 1).to_pylist()[0] | sample.metadata, indent=4).encode()


def with_types_of_all_kinds() -> pa.Table:
    return input_table(
        10,
        score=pa.array([index / 3 for index in range(10)], pa.float32()),
        tags=pa.array([["a", str(index)] for index in range(10)]),
        nested=pa.array(
            [{"a": index, "b": None} for index in range(10)], pa.struct({"a": pa.int8(), "b": pa.string()})
        ),
    )


@pytest.mark.parametrize(
    ("output_format", "names"),
    [
        ("files", ["00007", "00007.parquet", "00007_stats.json"]),
        ("webdataset", ["00007.parquet", "00007.tar", "00007_stats.json"]),
        ("parquet", ["00007.parquet", "00007_stats.json"]),
        ("tfrecord", ["00007.parquet", "00007.tfrecord", "00007_stats.json"]),
        ("dummy", ["00007_stats.json"]),
    ],
)
def test_a_shard_leaves_these_files_and_no_others(
    tmp_path: Path, output_format: str, names: list[str]
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    write_shard(settings_for(tmp_path, output_format), shard_id=7)
    assert visible(tmp_path) == names
    assert leftovers(tmp_path) == []


def test_files_has_the_image_the_caption_and_the_metadata_of_each_success(tmp_path: Path) -> None:
    table = with_types_of_all_kinds()
    samples = write_shard(settings_for(tmp_path, "files"), table)
    folder = tmp_path / "00000"
    good = succeeded(samples)
    assert len(good) < len(samples)
    assert visible(folder) == sorted(f"{s.key}.{ending}" for s in good for ending in ("jpg", "json", "txt"))
    for sample in good:
        assert (folder / f"{sample.key}.jpg").read_bytes() == sample.image
        assert (folder / f"{sample.key}.txt").read_bytes() == (sample.caption or "").encode()
        assert (folder / f"{sample.key}.json").read_bytes() == expected_json(table, sample)


def test_files_without_captions_has_no_txt(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "files", save_captions=False)
    write_shard(settings, input_table(10).select(["url"]))
    assert not list((tmp_path / "00000").glob("*.txt"))
    assert "caption" not in json.loads(next((tmp_path / "00000").glob("*.json")).read_text())


def test_a_tar_holds_the_members_of_a_sample_together_in_alphabetical_order(tmp_path: Path) -> None:
    table = with_types_of_all_kinds()
    for encode_format in ("jpg", "png", "webp"):
        settings = settings_for(tmp_path / encode_format, "webdataset", encode_format=encode_format)
        samples = usual_samples(settings, table)
        write_shard(settings, table, samples)
        with tarfile.open(tmp_path / encode_format / "00000.tar") as archive:
            read = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        endings = sorted([encode_format, "json", "txt"])
        assert list(read) == [f"{s.key}.{ending}" for s in succeeded(samples) for ending in endings]
        for sample in succeeded(samples):
            assert read[f"{sample.key}.{encode_format}"] == sample.image
            assert read[f"{sample.key}.txt"] == (sample.caption or "").encode()
            assert read[f"{sample.key}.json"] == expected_json(table, sample)


def test_the_same_samples_give_the_same_tar_and_metadata_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_shard(settings_for(tmp_path / name, "webdataset"))
    for file in ("00000.tar", "00000.parquet", "00000_stats.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_tar_is_read_by_the_webdataset_library(tmp_path: Path) -> None:
    import webdataset

    samples = succeeded(write_shard(settings_for(tmp_path, "webdataset")))
    dataset = webdataset.WebDataset(str(tmp_path / "00000.tar"), shardshuffle=False)
    read = sorted(dataset.decode("pil"), key=lambda sample: str(sample["__key__"]))
    assert [sample["__key__"] for sample in read] == [sample.key for sample in samples]
    for got, sample in zip(read, samples, strict=True):
        assert got["jpg"].size == Image.open(io.BytesIO(bytes(sample.image or b""))).size
        assert got["txt"] == (sample.caption or "")
        assert got["json"]["key"] == sample.key


def test_a_tar_feeds_a_torch_data_loader(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import webdataset

    samples = succeeded(write_shard(settings_for(tmp_path, "webdataset")))
    dataset = webdataset.WebDataset(str(tmp_path / "00000.tar"), shardshuffle=False).to_tuple(
        "__key__", "jpg"
    )
    loaded = dict(torch.utils.data.DataLoader(dataset, batch_size=None))
    assert loaded == {sample.key: sample.image for sample in samples}


def test_a_tar_is_listed_by_tar(tmp_path: Path) -> None:
    samples = succeeded(write_shard(settings_for(tmp_path, "webdataset")))
    result = subprocess.run(
        ["tar", "tvf", tmp_path / "00000.tar"], capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 3 * len(samples)


def test_a_shard_without_a_success_has_empty_files_that_can_be_read(tmp_path: Path) -> None:
    table = input_table(3)
    for output_format in ("files", "webdataset", "parquet"):
        settings = settings_for(tmp_path / output_format, output_format)
        write_shard(settings, table, [failure(settings, index) for index in range(3)])
        assert pq.read_table(tmp_path / output_format / "00000.parquet").num_rows == 3
    with tarfile.open(tmp_path / "webdataset/00000.tar") as archive:
        assert archive.getnames() == []
    assert visible(tmp_path / "files/00000") == []
    assert pq.read_table(tmp_path / "parquet/00000.parquet")["jpg"].to_pylist() == [None] * 3


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_an_image_may_be_any_buffer(tmp_path: Path, output_format: str) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    table = input_table(4)
    contents = []
    for name in ("bytes", "buffers"):
        settings = settings_for(tmp_path / name, output_format)
        samples = [success(settings, table, index) for index in range(4)]
        if name == "buffers":
            kinds: list[Any] = [
                bytearray,
                memoryview,
                lambda image: memoryview(np.frombuffer(image, np.uint8)),
                lambda image: memoryview(np.frombuffer(image, np.uint8).reshape(-1, 1)),
            ]
            samples = [
                Sample(s.index, s.key, kind(s.image), s.extension, s.caption, s.metadata)
                for s, kind in zip(samples, kinds, strict=True)
            ]
        write_shard(settings, table, samples)
        files = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


def test_an_original_is_stored_under_its_own_ending(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    table = input_table(1)
    plain = success(settings, table, 0)
    original = Sample(0, plain.key, b"GIF89a", "gif", plain.caption, plain.metadata)
    write_shard(settings, table, [original])
    with tarfile.open(tmp_path / "00000.tar") as archive:
        assert archive.getnames() == [f"{plain.key}.gif", f"{plain.key}.json", f"{plain.key}.txt"]


def test_parquet_holds_every_row_in_the_order_of_the_list_with_null_for_a_failure(tmp_path: Path) -> None:
    table = with_types_of_all_kinds()
    samples = write_shard(settings_for(tmp_path, "parquet"), table)
    read = pq.read_table(tmp_path / "00000.parquet")
    assert read["jpg"].type == pa.binary()
    assert read["jpg"].to_pylist() == [sample.image for sample in samples]
    assert read["key"].to_pylist() == [sample.key for sample in samples]
    assert read.select(table.column_names).replace_schema_metadata() == table
    assert read.column_names[-1] == "jpg"


def test_parquet_row_groups_end_by_size_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_BYTES", 2000)
    table = input_table(40)
    settings = settings_for(tmp_path, "parquet", rows_per_shard=40)
    samples = write_shard(settings, table, usual_samples(settings, table))
    file = pq.ParquetFile(tmp_path / "00000.parquet")
    assert file.num_row_groups > 3
    for group in range(file.num_row_groups):
        images = file.read_row_group(group, columns=["jpg"])["jpg"].to_pylist()
        assert sum(len(image) for image in images if image) <= 2000
    assert file.read()["jpg"].to_pylist() == [sample.image for sample in samples]


def test_an_image_larger_than_a_row_group_has_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_BYTES", 100)
    settings = settings_for(tmp_path, "parquet")
    table = input_table(3)
    write_shard(settings, table, [success(settings, table, index) for index in range(3)])
    assert pq.ParquetFile(tmp_path / "00000.parquet").num_row_groups == 3


def test_a_usual_shard_is_few_row_groups(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "parquet", rows_per_shard=1000)
    table = input_table(1000)
    write_shard(settings, table, [success(settings, table, index) for index in range(1000)])
    assert pq.ParquetFile(tmp_path / "00000.parquet").num_row_groups == 1


def test_parquet_says_to_hugging_face_that_the_column_is_an_image(tmp_path: Path) -> None:
    write_shard(settings_for(tmp_path, "parquet", encode_format="webp"))
    note = json.loads(pq.read_schema(tmp_path / "00000.parquet").metadata[b"huggingface"])
    assert note == {"info": {"features": {"webp": {"_type": "Image"}}}}


@pytest.mark.parametrize("hugging_face_images", [True, False])
def test_parquet_is_read_as_images_by_hugging_face_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hugging_face_images: bool
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    settings = settings_for(tmp_path / "out", "parquet", hugging_face_images=hugging_face_images)
    samples = write_shard(settings, with_types_of_all_kinds())
    dataset = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "out/00000.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    if not hugging_face_images:
        dataset = dataset.cast_column("jpg", datasets.Image())
    assert isinstance(dataset.features["jpg"], datasets.Image)
    for row, sample in zip(dataset, samples, strict=True):
        assert row["key"] == sample.key
        if sample.image is None:
            assert row["jpg"] is None
        else:
            assert row["jpg"].size == (sample.metadata["width"], sample.metadata["height"])


@pytest.mark.parametrize("reader", ["pandas", "polars", "duckdb"])
def test_parquet_is_read_plainly_by(tmp_path: Path, reader: str) -> None:
    module = pytest.importorskip(reader, reason=f"{reader} is not installed")
    samples = write_shard(settings_for(tmp_path, "parquet"), with_types_of_all_kinds())
    path = str(tmp_path / "00000.parquet")
    if reader == "pandas":
        images = list(module.read_parquet(path)["jpg"])
    elif reader == "polars":
        images = module.read_parquet(path)["jpg"].to_list()
    else:
        images = [row[0] for row in module.execute(f"select jpg from '{path}' order by key").fetchall()]
    assert images == [sample.image for sample in samples]


def test_a_dummy_shard_is_checked_like_any_other(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "dummy")
    table = input_table(2)
    writer = ShardWriter(settings, 0, table)
    samples = [success(settings, table, 0), failure(settings, 1)]
    for sample in samples:
        writer.write(sample)
    writer.commit(statistics_of(samples))
    assert json.loads((tmp_path / "00000_stats.json").read_text())["successes"] == 1

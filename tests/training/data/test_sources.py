"""Sources that are no plain list and no folder of images: frames, saved datasets, hub folders, outputs."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from torch.utils.data import DataLoader

from img2dataset import download
from img2dataset.errors import InputError
from img2dataset.training import ImageTextDataset, MetadataDataset, ShardDataset, open_list
from tests.pictures import photograph
from tests.servers import ImageServer

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def rows_of(source: Any, **options: Any) -> list[dict[str, Any]]:
    rows = open_list(source, **options)
    return [rows.row(index) for index in range(len(rows))]


def table(*numbers: int) -> pa.Table:
    """Images as Hugging Face embeds them; widths 32 and the number."""
    images = [{"bytes": photograph(32 + n, 24, n), "path": f"{n}.jpg"} for n in numbers]
    return pa.table({"image": pa.array(images, IMAGE), "text": [f"picture {n}" for n in numbers]})


def found(dataset: Any) -> list[tuple[int, str]]:
    return [(dataset[n]["img"].width - 32, dataset[n]["caption"]) for n in range(len(dataset))]


def pictures(*numbers: int) -> list[tuple[int, str]]:
    return [(n, f"picture {n}") for n in numbers]


def save(folder: Path, *parts: pa.Table) -> None:
    """As ``save_to_disk`` writes a dataset, a file each part."""
    folder.mkdir(parents=True)
    names = [f"data-{n:05}-of-{len(parts):05}.arrow" for n in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        with pa.ipc.new_stream(str(folder / name), part.schema) as stream:
            stream.write_table(part, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


def save_splits(folder: Path, **splits: pa.Table) -> None:
    for name, each in splits.items():
        save(folder / name, each)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))


def test_a_saved_dataset_is_read_without_the_package_that_wrote_it(tmp_path: Path) -> None:
    save(tmp_path / "saved", table(0, 1, 2), table(3))
    assert found(ImageTextDataset(tmp_path / "saved")) == pictures(0, 1, 2, 3)
    assert found(ImageTextDataset(tmp_path / "saved", format="huggingface")) == pictures(0, 1, 2, 3)
    again = pickle.loads(pickle.dumps(open_list(tmp_path / "saved")))
    assert [again.row(n)["text"] for n in range(4)] == [f"picture {n}" for n in range(4)]
    assert len(pickle.dumps(again)) < 1_000


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_a_saved_dataset(tmp_path: Path, start: str) -> None:
    save(tmp_path / "saved", table(0, 1), table(2, 3))
    dataset = MetadataDataset(tmp_path / "saved", image_columns=())
    loader = DataLoader(dataset, None, num_workers=2, multiprocessing_context=start, timeout=120)
    assert [row["text"] for row in loader] == [f"picture {n}" for n in range(4)]


def test_what_the_package_saves_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    whole = datasets.Dataset.from_dict(table(0, 1, 2, 3, 4).to_pydict(), features=features)
    splits = datasets.DatasetDict({"train": whole, "test": whole.select([3])})
    whole.save_to_disk(tmp_path / "whole", num_shards=2)
    whole.select([4, 0]).save_to_disk(tmp_path / "selected")
    splits.save_to_disk(tmp_path / "splits")
    assert found(ImageTextDataset(tmp_path / "whole")) == pictures(0, 1, 2, 3, 4)
    assert found(ImageTextDataset(tmp_path / "selected")) == pictures(4, 0)
    assert found(ImageTextDataset(tmp_path / "splits", split="test")) == pictures(3)
    assert found(ImageTextDataset(splits, split="test")) == pictures(3)
    assert found(ImageTextDataset(splits)) == pictures(0, 1, 2, 3, 4)
    with pytest.raises(InputError, match="DatasetDict has no split 'dev'; it has train, test"):
        ImageTextDataset(splits, split="dev")
    with pytest.raises(InputError, match="has no rows by number; load the dataset with streaming=False"):
        ImageTextDataset(whole.to_iterable_dataset())


def test_a_split_is_chosen_by_name_or_must_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_splits(tmp_path / "a", train=table(0), test=table(1))
    save_splits(tmp_path / "b", only=table(2))
    save_splits(tmp_path / "c", easy=table(3), hard=table(4))
    assert found(ImageTextDataset(tmp_path / "a")) == pictures(0)
    assert "has the splits train, test: train is read" in caplog.text
    assert found(ImageTextDataset(tmp_path / "a", split="test")) == pictures(1)
    assert found(ImageTextDataset(tmp_path / "b")) == pictures(2)
    assert found(ImageTextDataset({"easy": table(3), "hard": table(4)}, split="easy")) == pictures(3)
    for source in (tmp_path / "c", {"easy": table(3), "hard": table(4)}):
        with pytest.raises(InputError, match="has the splits easy, hard; say which with split="):
            ImageTextDataset(source)
    with pytest.raises(InputError, match="has no split 'test'; it has easy, hard"):
        ImageTextDataset(tmp_path / "c", split="test")
    with pytest.raises(InputError, match="is not divided into splits"):
        ImageTextDataset(tmp_path / "c" / "easy", split="easy")


def test_a_saved_dataset_that_is_not_whole_names_its_file(tmp_path: Path) -> None:
    save(tmp_path / "saved", table(0, 1, 2), table(3))
    second = tmp_path / "saved" / "data-00001-of-00002.arrow"
    body = second.read_bytes()
    for broken in (body[:100], b"no arrow"):
        second.write_bytes(broken)
        with pytest.raises(InputError, match=r"data-00001-of-00002\.arrow', of a saved dataset, cannot"):
            open_list(tmp_path / "saved")
    second.unlink()
    with pytest.raises(InputError, match=r"data-00001-of-00002\.arrow"):
        open_list(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json' names no data files"):
        open_list(tmp_path / "saved")


def put_parquet(path: Path, *numbers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(*numbers), path)


def test_a_repository_of_the_hub_is_read_by_split(tmp_path: Path) -> None:
    put_parquet(tmp_path / "data" / "train-00000-of-00002.parquet", 0, 1)
    put_parquet(tmp_path / "data" / "train-00001-of-00002-0a1b2c3d4e5f6789.parquet", 2)
    (tmp_path / "README.md").write_text("---\n---\n")
    (tmp_path / ".git").mkdir()
    assert found(ImageTextDataset(tmp_path)) == pictures(0, 1, 2)
    put_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", 3)
    (tmp_path / "logo.png").write_bytes(photograph(32, 32))
    assert found(ImageTextDataset(tmp_path)) == pictures(0, 1, 2)
    assert found(ImageTextDataset(tmp_path, split="test")) == pictures(3)
    assert found(ImageTextDataset(tmp_path / "data", split="test")) == pictures(3)
    with pytest.raises(InputError, match="has no split 'dev'; it has test, train"):
        ImageTextDataset(tmp_path, split="dev")


def test_other_layouts_of_repositories_are_read_or_refused(tmp_path: Path) -> None:
    put_parquet(tmp_path / "a" / "train.parquet", 0)
    put_parquet(tmp_path / "a" / "test.parquet", 1)
    put_parquet(tmp_path / "b" / "train" / "0000.parquet", 2)
    put_parquet(tmp_path / "b" / "validation" / "0000.parquet", 3)
    put_parquet(tmp_path / "c" / "data" / "train" / "0000.parquet", 4)
    put_parquet(tmp_path / "d" / "english" / "train-00000-of-00001.parquet", 5)
    assert found(ImageTextDataset(tmp_path / "a")) == pictures(0)
    assert found(ImageTextDataset(tmp_path / "b", split="validation")) == pictures(3)
    assert found(ImageTextDataset(tmp_path / "c")) == pictures(4)
    assert found(ImageTextDataset(tmp_path / "d")) == pictures(5)
    put_parquet(tmp_path / "d" / "german" / "train-00000-of-00001.parquet", 6)
    with pytest.raises(InputError, match="in several folders, english, german; give one of them"):
        ImageTextDataset(tmp_path / "d")
    (tmp_path / "e").mkdir()
    with pytest.raises(InputError, match=r"holds no file ending in \.parquet"):
        ImageTextDataset(tmp_path / "e", format="parquet")
    (tmp_path / "a" / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="git lfs pull"):
        ImageTextDataset(tmp_path / "a")


def test_embedded_images_of_more_than_two_gibibytes_are_rows() -> None:
    """One part of 64 MB, 33 times."""
    part = pa.array([{"bytes": bytes(1 << 26), "path": None}, {"bytes": b"last", "path": "a.jpg"}], IMAGE)
    rows = open_list(pa.table({"image": pa.chunked_array([part] * 33)}))
    assert len(rows) == 66
    assert rows.row(65) == {"image": {"bytes": b"last", "path": "a.jpg"}}


def test_a_folder_of_images_with_tables_among_them_stays_one(tmp_path: Path) -> None:
    put_parquet(tmp_path / "sub" / "00000.parquet", 0)
    (tmp_path / "sub" / "00000").mkdir()
    (tmp_path / "sub" / "00000" / "1.jpg").write_bytes(photograph(33, 24))
    assert [row["image"] for row in rows_of(tmp_path)] == ["sub/00000/1.jpg"]


@pytest.mark.parametrize("hugging_face_images", [True, False])
def test_images_that_download_wrote_into_parquet_are_read_back(
    tmp_path: Path,
    image_server: ImageServer,
    caplog: pytest.LogCaptureFixture,
    hugging_face_images: bool,
) -> None:
    urls = [image_server.put(f"/sources/{n}.jpg", photograph(32 + n, 24, n)) for n in range(4)]
    urls[1] = image_server.url("/status/404")
    download(
        url_list=[{"url": url, "caption": f"picture {n}"} for n, url in enumerate(urls)],
        output_folder=str(tmp_path / "out"),
        output_format="parquet",
        hugging_face_images=hugging_face_images,
        caption_col="caption",
        resize_mode="no",
        number_sample_per_shard=3,
        processes_count=1,
    )
    assert found(ShardDataset(tmp_path / "out")) == pictures(0, 2, 3)
    asked = [image_server.count(f"/sources/{n}.jpg") for n in range(4)]
    dataset = ImageTextDataset(tmp_path / "out")
    assert found(dataset) == pictures(0, 2, 3)
    assert dataset[0]["metadata"]["url"] == urls[0]
    assert "1 row of" in caplog.text
    assert "left out" in caplog.text
    assert found(ImageTextDataset(tmp_path / "out" / "00001.parquet")) == pictures(3)
    assert [image_server.count(f"/sources/{n}.jpg") for n in range(4)] == asked
    shutil.rmtree(tmp_path / "out")


def test_a_data_frame_of_pandas_is_a_list() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"image": ["a.jpg", "b.jpg", None], "text": ["one", float("nan"), "three"], "n": [1, 2, 3]},
        index=[7, 8, 9],
    )
    assert rows_of(frame) == [
        {"image": "a.jpg", "text": "one", "n": 1},
        {"image": "b.jpg", "text": None, "n": 2},
        {"image": None, "text": "three", "n": 3},
    ]
    assert rows_of(frame[frame.n > 1].rename(columns={"n": 0}))[0] == {"image": "b.jpg", "text": None, "0": 2}
    mixed = pandas.DataFrame({"image": [["a.jpg"], "b.jpg"], "text": ["one", pandas.NA], "n": [1, "x"]})
    assert rows_of(mixed) == [
        {"image": ["a.jpg"], "text": "one", "n": 1},
        {"image": "b.jpg", "text": None, "n": "x"},
    ]
    embedded = pandas.DataFrame({"image": [photograph(32, 24)], "text": ["picture 0"]})
    assert found(ImageTextDataset(embedded)) == pictures(0)
    by_split = {"train": embedded, "test": frame}
    assert len(open_list(by_split, split="test")) == 3
    with pytest.raises(InputError, match="column_map"):
        ImageTextDataset(pandas.DataFrame({"photo": ["a.jpg"]}))


def test_a_lazy_frame_is_refused_with_the_way_out() -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(InputError, match=r"LazyFrame has no rows yet; .*collect\(\)"):
        ImageTextDataset(polars.LazyFrame({"image": ["a.jpg"]}))


def test_a_data_frame_of_polars_is_a_list() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"image": ["a.jpg", None], "text": ["one", "two"], "n": [1, 2]})
    assert rows_of(frame) == [
        {"image": "a.jpg", "text": "one", "n": 1},
        {"image": None, "text": "two", "n": 2},
    ]

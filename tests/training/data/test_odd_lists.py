"""Lists that are damaged, or whose values are of odd types: one clear error, or one row that fails alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import pyarrow as pa
import pytest
from PIL import Image

from img2dataset.errors import InputError
from img2dataset.training import ImageTextDataset
from tests.pictures import photograph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(photograph(40, 30, 0))
    return tmp_path


def of_coco(folder: Path, document: Any, encoding: str = "utf-8") -> ImageTextDataset:
    (folder / "coco.json").write_text(json.dumps(document), encoding=encoding)
    return ImageTextDataset(folder / "coco.json")


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, float("nan")])
def test_ids_of_coco_that_are_no_ids(folder: Path, value: Any, caplog: pytest.LogCaptureFixture) -> None:
    image = {"id": 1, "file_name": "a.jpg"}
    captions = [{"image_id": 1, "caption": "a cat"}, {"image_id": value, "caption": "lost"}]
    assert of_coco(folder, {"images": [image], "annotations": captions})[0]["caption"] == "a cat"
    assert "1 caption of" in caplog.text
    if isinstance(value, float):
        return
    with pytest.raises(InputError, match="do not each have an id of their own"):
        of_coco(folder, {"images": [image | {"id": value}], "annotations": captions})


def test_captions_of_coco_in_utf16(folder: Path) -> None:
    document = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "é"}]}
    assert of_coco(folder, document, "utf-16")[0]["caption"] == "é"


def lmdb_of(path: Path, items: dict[bytes, bytes]) -> Path:
    with lmdb.open(str(path), map_size=1 << 24) as database, database.begin(write=True) as write:
        for key, value in items.items():
            write.put(key, value)
    return path


@pytest.mark.parametrize("value", [b'{"image": ', b'{"image": "\xe9"}', b'{"a":' + b"[" * 200_000])
def test_a_damaged_value_of_lmdb_is_a_row_that_fails_alone(
    folder: Path, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    body = (folder / "a.jpg").read_bytes()
    items = {b"0": value, b"1": body, b"2": value, b"3.jpg": body, b"3.json": b"[1]"}
    dataset = ImageTextDataset(lmdb_of(folder / "list.lmdb", items), on_error="skip")
    assert [dataset[index] is not None for index in range(4)] == [False, True, False, True]
    assert caplog.text.count("(said once)") == 1
    assert "the value of the key b'0'" in caplog.text
    with pytest.raises(InputError, match="none of the first rows"):
        ImageTextDataset(lmdb_of(folder / "other.lmdb", {b"0": value}))


def test_an_lmdb_database_that_is_cut_short_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = {b"%d" % number: (folder / "a.jpg").read_bytes() * 10 for number in range(3)}
    path = lmdb_of(folder / "list.lmdb", items)
    ImageTextDataset(path)
    assert not caplog.text
    size = (path / "data.mdb").stat().st_size
    (folder / "cut.mdb").write_bytes((path / "data.mdb").read_bytes()[: size - 4096])
    script = "import sys; from img2dataset.training import ImageTextDataset; ImageTextDataset(sys.argv[1])"
    # What is missing may be read at once: then the kernel ends the process.
    ended = subprocess.run(
        [sys.executable, "-c", script, str(folder / "cut.mdb")], capture_output=True, text=True
    )
    assert f"has {size - 4096} bytes of {size}: it is cut short" in ended.stderr


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ([{"image": "a.jpg"}, None], "row 1 of the list is a NoneType"),
        ([], "images; it has none"),
        ([{1: "a.jpg"}], "images; it has 1"),
        (
            pa.table([["a.jpg"], ["x"], ["y"]], names=["image", "caption", "caption"]),
            "2 columns named 'caption'",
        ),
    ],
)
def test_what_is_no_list_of_rows_is_named(source: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        ImageTextDataset(source)


def test_names_of_columns_are_texts(folder: Path) -> None:
    (folder / "a.tsv").write_text("a.jpg\tx\n")
    with pytest.raises(InputError, match=r"column_names is .* takes a list of names"):
        ImageTextDataset(folder / "a.tsv", column_names=["image", 3])  # type: ignore[list-item]


def test_rows_with_pictures_may_have_other_columns_than_the_first() -> None:
    picture = Image.new("RGB", (4, 3))
    rows = [{"image": picture}, {"image": picture, "caption": "late"}]
    assert ImageTextDataset(rows)[1]["caption"] == "late"


def test_a_record_batch_is_a_list(folder: Path) -> None:
    batch = pa.RecordBatch.from_pydict({"image": ["a.jpg"], "caption": ["x"]})
    assert ImageTextDataset(batch, base_path=folder)[0]["caption"] == "x"


@pytest.mark.parametrize(
    ("caption", "text"),
    [(float("nan"), ""), (b"caf\xc3\xa9", "café"), ([None, float("nan"), "x"], "x"), (5, "5")],
)
def test_a_caption_that_is_missing_is_empty_and_bytes_are_text(folder: Path, caption: Any, text: str) -> None:
    assert ImageTextDataset([{"image": "a.jpg", "caption": caption}], base_path=folder)[0]["caption"] == text
    arrow = pa.table({"image": ["a.jpg"], "caption": [caption] if not isinstance(caption, list) else ["x"]})
    assert ImageTextDataset(arrow, base_path=folder)[0]["caption"] == text


def test_frames_with_missing_values_arrays_and_equal_names(folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    mixed = pandas.DataFrame({"image": ["a.jpg"] * 3, "caption": [pandas.NA, numpy.array(["p"]), 5]})
    dataset = ImageTextDataset(mixed, base_path=folder)
    assert [dataset[index]["caption"] for index in range(3)] == ["", "p", "5"]
    with pytest.raises(InputError, match="the data frame has 2 columns named 'caption'"):
        ImageTextDataset(pandas.DataFrame([["a.jpg", "x", "y"]], columns=["image", "caption", "caption"]))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("state.json", '{"_data_files": []}', "is empty; it has no rows"),
        ("state.json", '{"_data_files": 3}', "names no data files"),
        ("state.json", "[" * 100_000, "cannot be read"),
        ("dataset_dict.json", '{"splits": [3]}', "names no splits"),
    ],
)
def test_a_saved_dataset_whose_files_say_nonsense_is_named(
    folder: Path, name: str, content: str, told: str
) -> None:
    (folder / "dataset_info.json").write_text("{}")
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=told):
        ImageTextDataset(folder)

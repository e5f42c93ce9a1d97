"""Folders of images: what is a sample, whose caption it has, how often it is taken, which split is read."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError
from img2dataset.training import ImageTextDataset, open_list
from tests.pictures import photograph


def put(folder: Path, *names: str, text: str | None = None) -> None:
    """Images, each with a text beside it if there is one."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photograph(40 + number, 32, number))
        if text is not None:
            path.with_suffix(".txt").write_text(text)


def rows_of(source: Any, **options: Any) -> list[dict[str, Any]]:
    rows = open_list(source, **options)
    return [rows.row(index) for index in range(len(rows))]


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize(
    "name",
    [
        "._a.jpg",
        ".hidden.png",
        ".ipynb_checkpoints/a-checkpoint.jpg",
        "__MACOSX/a.jpg",
        "sub/__MACOSX/sub/._a.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        ".Trash-1000/files/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "#recycle/a.jpg",
        "lost+found/a.jpg",
        "Thumbs.db",
        ".DS_Store",
    ],
)
def test_what_systems_leave_in_folders_is_no_sample(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.jpg", "sub/b.jpg", text="mine")
    put(tmp_path, name)
    assert [row["image"] for row in rows_of(tmp_path)] == ["a.jpg", "sub/b.jpg"]


def test_a_folder_that_is_hidden_itself_and_names_that_only_look_so_are_read(tmp_path: Path) -> None:
    put(tmp_path / ".cache", "_a.jpg", "@someone/b.jpg", "a.b/c.jpg", text="mine")
    assert [row["image"] for row in rows_of(tmp_path / ".cache")] == ["_a.jpg", "@someone/b.jpg", "a.b/c.jpg"]


def test_leftovers_do_not_hide_the_parquet_files_of_a_folder(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["a.jpg"], "text": ["one"]}), tmp_path / "list.parquet")
    put(tmp_path, "._a.jpg")
    (tmp_path / "._list.parquet").write_bytes(b"\0" * 100)
    assert rows_of(tmp_path) == [{"url": "a.jpg", "text": "one"}]


def test_captions_are_found_in_the_list_of_a_split(tmp_path: Path) -> None:
    put(tmp_path, "train/0.jpg", "train/more/1.jpg")
    lines = [{"file_name": "0.jpg", "text": "zero"}, {"file_name": "more/1.jpg", "text": "one"}]
    write_lines(tmp_path / "train" / "metadata.jsonl", *lines)
    samples = [ImageTextDataset(tmp_path)[index] for index in range(2)]
    assert [(one["img"].size, one["caption"]) for one in samples] == [((40, 32), "zero"), ((41, 32), "one")]


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.json", "metadata.parquet"])
@pytest.mark.parametrize("place", ["", "train", "a/b"])
def test_every_list_of_a_folder_is_found_where_it_is(tmp_path: Path, name: str, place: str) -> None:
    put(tmp_path / place, "images/0.jpg", "images/1.jpg", text="not this")
    listed = [{"file_name": "images/0.jpg", "text": "zero"}, {"file_name": "images/1.jpg", "text": "one"}]
    path = tmp_path / place / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(listed), path)
    elif name.endswith("csv"):
        path.write_text("file_name,text\nimages/0.jpg,zero\nimages/1.jpg,one\n")
    elif name.endswith("jsonl"):
        write_lines(path, *listed)
    else:
        path.write_text(json.dumps(listed))
    dataset = ImageTextDataset(tmp_path)
    assert [dataset[index]["caption"] for index in range(len(dataset))] == ["zero", "one"]


@pytest.mark.parametrize(
    "header", ["image,prompt", " image , prompt", "image, prompt ", "\ufeffimage,prompt"]
)
def test_a_list_of_images_and_prompts_is_found(tmp_path: Path, header: str) -> None:
    put(tmp_path, "0.jpg", "1.jpg")
    (tmp_path / "metadata.csv").write_text(f'{header}\n1.jpg,"one, of two"\n0.jpg,zero\n')
    dataset = ImageTextDataset(tmp_path)
    samples = [dataset[index] for index in range(len(dataset))]
    assert [(one["img"].size, one["caption"]) for one in samples] == [
        ((41, 32), "one, of two"),
        ((40, 32), "zero"),
    ]


def test_lists_of_several_folders_and_images_beside_them_are_one_list(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", text="beside")
    put(tmp_path, "x/0.jpg", "y/1.jpg", "y/2.jpg")
    write_lines(tmp_path / "x" / "metadata.jsonl", {"file_name": "0.jpg", "text": "zero", "n": 1})
    (tmp_path / "y" / "metadata.csv").write_text(
        'image,prompt\n1.jpg,one\n"[""1.jpg"", ""2.jpg""]",both\nhttps://example.org/3.jpg,far\n'
    )
    assert rows_of(tmp_path) == [
        {"image": "a.jpg", "caption": "beside"},
        {"image": "x/0.jpg", "caption": "zero", "n": 1},
        {"image": "y/1.jpg", "caption": "one"},
        {"image": ["y/1.jpg", "y/2.jpg"], "caption": "both"},
        {"image": "https://example.org/3.jpg", "caption": "far"},
    ]


def test_a_list_that_names_no_images_is_told_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "0.jpg", "sub/1.jpg", text="beside")
    (tmp_path / "metadata.csv").write_text("name,size\nthis,5\n")
    (tmp_path / "sub" / "metadata.json").write_text('{"title": "a gallery"}')
    assert [row["caption"] for row in rows_of(tmp_path)] == ["beside"] * 2
    assert "metadata.csv is not used: it has no column of images" in caplog.text
    (tmp_path / "sub" / "metadata.jsonl").write_text("1\n")
    with pytest.raises(InputError, match=r"metadata\.jsonl"):
        open_list(tmp_path)


def test_folders_of_splits_are_read_one_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "train/0.jpg", "train/a/1.jpg", "test/2.jpg", text="x")
    assert [row["image"] for row in rows_of(tmp_path)] == ["train/0.jpg", "train/a/1.jpg"]
    assert "has the splits test, train: train is read" in caplog.text
    assert [row["image"] for row in rows_of(tmp_path, split="test")] == ["test/2.jpg"]
    assert [row["image"] for row in rows_of(tmp_path / "train", split="a")] == ["a/1.jpg"]
    with pytest.raises(InputError, match="has no split 'validation'; it has test, train"):
        open_list(tmp_path, split="validation")
    put(tmp_path, "more/3.jpg", text="x")
    assert len(open_list(tmp_path)) == 4


def test_splits_without_train_must_be_chosen(tmp_path: Path) -> None:
    put(tmp_path, "dev/0.jpg", "test/1.jpg", text="x")
    with pytest.raises(InputError, match="has the splits dev, test; say which with split="):
        open_list(tmp_path)


def test_repeats_of_folders_are_taken_when_they_are_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "3_sks dog/0.jpg", "3_sks dog/more/1.jpg", "0_off/4.jpg", "plain/5.jpg")
    put(tmp_path, "2_cat/2.jpg", text="a cat of its own")
    assert len(open_list(tmp_path)) == 5
    assert "folder_repeats=True takes their images that often" in caplog.text
    caplog.clear()
    assert len(open_list(tmp_path, folder_repeats=False)) == 5
    assert "folder_repeats" not in caplog.text
    dataset = ImageTextDataset(tmp_path, folder_repeats=True)
    found = [(dataset.sources(index)[0], dataset[index]["caption"]) for index in range(len(dataset))]
    assert found == [
        *[("2_cat/2.jpg", "a cat of its own")] * 2,
        *[("3_sks dog/0.jpg", "sks dog")] * 3,
        *[("3_sks dog/more/1.jpg", "sks dog")] * 3,
        ("plain/5.jpg", ""),
    ]
    assert "folder_repeats" not in caplog.text


@pytest.mark.parametrize("listed", [True, False])
def test_repeats_that_nothing_asks_for_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: bool
) -> None:
    put(tmp_path, "10_dog/0.jpg" if listed else "dog/0.jpg", text="a dog")
    if listed:
        write_lines(tmp_path / "metadata.jsonl", {"file_name": "10_dog/0.jpg", "text": "a dog"})
    assert len(open_list(tmp_path, folder_repeats=True)) == 1
    assert "folder_repeats=True changes nothing" in caplog.text


def test_arguments_of_folders_are_refused_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,caption\na.jpg,one\n")
    put(tmp_path / "pictures", "a.jpg")
    for source, options, reason in (
        (tmp_path / "list.csv", {"folder_repeats": True}, "folder_repeats is for folders of images"),
        ([{"image": "a.jpg"}], {"folder_repeats": False}, "folder_repeats is for folders of images"),
        (tmp_path / "list.csv", {"split": "test"}, "is not divided into splits"),
        ([{"image": "a.jpg"}], {"split": "test"}, "is not divided into splits"),
        (tmp_path / "pictures", {"column_names": ["image"]}, "column_names is for a csv or tsv"),
    ):
        with pytest.raises(InputError, match=reason):
            open_list(source, **options)


def test_that_no_captions_were_found_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "0.jpg", "sub/1.jpg")
    dataset = ImageTextDataset(tmp_path)
    assert [dataset[index]["caption"] for index in (0, 1, 0)] == [""] * 3
    (record,) = [record for record in caplog.records if "captions" in record.message]
    assert record.levelno == logging.WARNING
    assert "no captions were found for the 2 images" in record.message
    assert "metadata.jsonl" in record.message
    caplog.clear()
    (tmp_path / "0.txt").write_text("zero")
    ImageTextDataset(tmp_path)
    assert not caplog.records


def test_that_no_column_holds_captions_is_said_where_others_are_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "list.csv").write_text("url,beschreibung\na.jpg,eins\n")
    ImageTextDataset(tmp_path / "list.csv")
    assert "no column of the list is known to hold captions" in caplog.text
    assert "beschreibung" in caplog.text
    caplog.clear()
    ImageTextDataset(tmp_path / "list.csv", column_map={"caption": "beschreibung"})
    (tmp_path / "list.txt").write_text("a.jpg\n")
    ImageTextDataset(tmp_path / "list.txt")
    assert not caplog.records


def test_a_caption_in_another_encoding_is_named(pictures_folder: Path) -> None:
    (pictures_folder / "0.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(InputError, match=r"0\.txt' is not UTF-8"):
        ImageTextDataset(pictures_folder)

"""Every list format gives the same rows; what cannot be read says why."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import pickle
from pathlib import Path
from typing import Any

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError, MissingDependency
from img2dataset.options import InputOptions
from img2dataset.reading import open_reader
from img2dataset.training import ImageLoadError, ImageTextDataset, open_list
from img2dataset.training.data.packed_rows import PackedRows
from img2dataset.training.data.row_lists import SequenceRows
from tests.pictures import photograph

ROWS = [
    {"image": "a.jpg", "caption": 'a "quoted", long\ncaption'},
    {"image": "b/ü.png", "caption": None},
    {"image": "https://example.org/c.jpg", "caption": "naïve ☃"},
]


def write_list(folder: Path, list_format: str) -> Path:
    path = folder / f"list.{list_format}"
    if list_format == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    if list_format.startswith("jsonl"):
        text = "\n\n".join(json.dumps(row) for row in ROWS)
    elif list_format.startswith("json"):
        text = json.dumps(ROWS)
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(
            buffer, ["image", "caption"], delimiter="\t" if list_format.startswith("tsv") else ","
        )
        writer.writeheader()
        writer.writerows(ROWS)
        text = "\ufeff" + buffer.getvalue()  # as spreadsheets write it
    data = text.encode()
    path.write_bytes(gzip.compress(data) if list_format.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("list_format", ["csv", "tsv", "json", "jsonl", "parquet", "csv.gz", "jsonl.gz"])
def test_every_format_gives_the_same_rows(tmp_path: Path, list_format: str) -> None:
    rows = open_list(write_list(tmp_path, list_format))
    assert [rows.row(index) for index in range(len(rows))] == ROWS
    assert rows.columns == ("image", "caption")


def test_lists_in_memory_and_tables_are_lists_too() -> None:
    for source in (ROWS, pa.Table.from_pylist(ROWS)):
        rows = open_list(source)
        assert [rows.row(index) for index in range(len(rows))] == ROWS


def test_a_folder_gives_its_images_with_the_captions_beside_them(pictures_folder: Path) -> None:
    rows = open_list(pictures_folder)
    found = {row["image"]: row["caption"] for row in (rows.row(index) for index in range(len(rows)))}
    assert found == {
        "0.jpg": "picture 0, a photograph",
        "2.jpg": "picture 2, a photograph",
        "4.jpg": "picture 4, a photograph",
        "deeper/1.jpg": "picture 1, a photograph",
        "deeper/3.jpg": "picture 3, a photograph",
        "deeper/5.jpg": None,
    }


def test_a_folder_with_a_metadata_file_is_that_list(pictures_folder: Path) -> None:
    lines = [json.dumps({"file_name": "deeper/1.jpg", "text": "one", "extra": 5})]
    (pictures_folder / "metadata.jsonl").write_text("\n".join(lines))
    dataset = ImageTextDataset(pictures_folder)
    sample = dataset[0]
    assert (len(dataset), sample["img"].size, sample["caption"]) == (1, (128, 90), "one")
    assert sample["metadata"] == {"extra": 5}


@pytest.mark.parametrize("layout", ["rows", "endings", "images"])
def test_an_lmdb_database_gives_rows_in_each_of_its_usual_layouts(tmp_path: Path, layout: str) -> None:
    with (
        lmdb.open(str(tmp_path / "list.lmdb"), map_size=1 << 24) as database,
        database.begin(write=True) as write,
    ):
        for n in range(3):
            body = photograph(32 + n, 24, n)
            if layout == "rows":
                (tmp_path / f"{n}.jpg").write_bytes(body)
                row = {"image": str(tmp_path / f"{n}.jpg"), "caption": f"caption {n}"}
                write.put(b"%04d" % n, json.dumps(row).encode())
            elif layout == "endings":
                write.put(b"%04d.jpg" % n, body)
                write.put(b"%04d.txt" % n, b"caption %d" % n)
            else:
                write.put(b"%04d" % n, body)
        write.put(b"__len__", b"3")
    dataset = ImageTextDataset(tmp_path / "list.lmdb")
    samples = [dataset[index] for index in range(len(dataset))]
    assert [sample["img"].size for sample in samples] == [(32, 24), (33, 24), (34, 24)]
    expected = [f"caption {n}" if layout != "images" else "" for n in range(3)]
    assert [sample["caption"] for sample in samples] == expected


def test_a_hugging_face_dataset_is_a_list() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {
        "image": [{"bytes": photograph(32, 24, n), "path": None} for n in range(3)],
        "text": ["a", "b", "c"],
    }
    dataset = ImageTextDataset(datasets.Dataset.from_dict(rows, features=features))
    assert [(dataset[n]["img"].size, dataset[n]["caption"]) for n in range(3)] == [
        ((32, 24), "a"),
        ((32, 24), "b"),
        ((32, 24), "c"),
    ]


def test_lists_stand_in_a_csv_as_json_and_other_brackets_are_text(tmp_path: Path) -> None:
    lines = ["image,caption", '"[""a.png"", ""sub/b.png""]",[a] poster', 'c.png,"[1, 2]"', ",[]"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    rows = open_list(tmp_path / "list.csv")
    assert [rows.row(n)["image"] for n in range(3)] == [["a.png", "sub/b.png"], "c.png", None]
    assert [rows.row(n)["caption"] for n in range(3)] == ["[a] poster", "[1, 2]", "[]"]


STRANGE: list[dict[str, Any]] = [
    {"image": "a.png", "caption": "one", "score": 1, "box": [1, 2.5], "more": {"a": 1}},
    {
        "image": ["a.png", "b.png"],
        "caption": ["x", "y"],
        "score": "1",
        "box": None,
        "more": {"b": [None, {}]},
    },
    {"image": "c.png", "score": 1.0, "flag": True},
    {"image": None, "caption": None, "nested": [[1], ["a"], {"k": {"l": "ü"}}], "large": 2**70},
]


@pytest.mark.parametrize("name", ["list.json", "list.jsonl", "list.jsonl.gz", "metadata.jsonl"])
def test_rows_of_a_file_are_those_that_stand_there(tmp_path: Path, name: str) -> None:
    """Of their own types, with no values that other rows have; as the same rows from memory."""
    text = json.dumps(STRANGE) if name.endswith("json") else "\n".join(map(json.dumps, STRANGE))
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows = open_list(tmp_path / name)
    assert [rows.row(index) for index in range(len(rows))] == STRANGE
    assert [type(rows.row(index)["score"]) for index in range(3)] == [int, str, float]
    kept = open_list(STRANGE)
    assert [kept.row(index) for index in range(len(kept))] == STRANGE
    assert kept.columns == rows.columns


def test_rows_in_memory_are_packed_where_they_are_plain_and_survive_pickle(tmp_path: Path) -> None:
    assert isinstance(open_list(STRANGE), PackedRows)
    assert isinstance(
        open_list([{"image": photograph(8, 8), "when": datetime.date(2026, 1, 1)}]), SequenceRows
    )
    again = pickle.loads(pickle.dumps(open_list(STRANGE)))
    assert [again.row(index) for index in range(len(again))] == STRANGE


def test_a_folder_with_metadata_gives_its_rows_as_they_stand_there(pictures_folder: Path) -> None:
    lines = [{"file_name": "0.jpg", "tags": ["a"]}, {"file_name": "1.jpg", "tags": "b", "extra": 5}]
    (pictures_folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = open_list(pictures_folder)
    assert [rows.row(0), rows.row(1)] == [
        {"image": "0.jpg", "tags": ["a"]},
        {"image": "1.jpg", "tags": "b", "extra": 5},
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("list.json", '{"image": 1}', "one object, not a list of rows"),
        ("list.json", "[1]", "none of the 1 rows"),
        ("list.json", "[{", "not one JSON document"),
        ("list.jsonl", "1\n\n[1]", "none of the 2 rows"),
        ("list.csv", "", "empty"),
        ("list.json", "[]", "empty"),
        ("list.jsonl", "", "empty"),
        ("list.csv", "image,caption,caption\na.jpg,one,two\n", '2 columns named "caption"'),
        ("list.csv", 'image,caption\na.jpg,"one\n', "a quote is still open"),
        ("list.parquet", "no parquet", "is not parquet"),
        ("list.csv.gz", "no gzip", "it is not gzip-compressed"),
        ("list.docx", "", "format"),
    ],
)
def test_a_list_that_is_not_what_it_should_be_names_the_place(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason) as caught:
        open_list(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", b"url,caption\na.jpg,one, two\nb.jpg\n\nc.jpg,three\n"),
        ("list.tsv", b"url\tcaption\na.jpg\tone\ttwo\tthree\nb.jpg\n"),
        ("list.csv", b"url,caption\na.jpg,caf\xe9\nb.jpg,\0\n"),
        ("list.csv", "url,caption\na.jpg,caf\u00e9\n".encode("utf-16")),
        ("list.jsonl", b'{"url": "a.jpg", "caption": "one"}\n\n[1]\nno json\n{"caption": "four"}\n'),
        ("list.json", b'[{"url": "a.jpg", "caption": "one"}, 2, {"url": "c.jpg", "caption": "three"}]'),
        ("list.json", b'{"url": {"0": "a.jpg", "5": "b.jpg"}, "caption": {"0": "one", "5": "two"}}'),
        ("list.json", b'{"url": ["a.jpg", "b.jpg"], "caption": ["one", "two"]}'),
    ],
)
def test_a_dataset_reads_a_list_as_a_download_does(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    list_format = name.partition(".")[2]
    options = InputOptions(url_list=str(tmp_path / name), input_format=list_format, caption_col="caption")
    (shard,) = open_reader(options, 100).shards()
    rows = open_list(tmp_path / name)
    found = [rows.row(index) for index in range(len(rows))]
    assert [row.get("url") for row in found] == shard.rows.column("url").to_pylist()
    assert [row.get("caption") for row in found] == shard.rows.column("caption").to_pylist()


def test_a_list_of_urls_alone_is_a_list(tmp_path: Path) -> None:
    for name, content in (
        ("list.txt", b"a.jpg\n\n b.jpg \n"),
        ("list.txt.gz", gzip.compress(b"a.jpg\r\nb.jpg")),
    ):
        (tmp_path / name).write_bytes(content)
        dataset = ImageTextDataset(tmp_path / name)
        assert [dataset.sources(index) for index in range(len(dataset))] == [["a.jpg"], ["b.jpg"]]


def test_a_row_that_is_no_object_keeps_its_number_and_fails_alone(pictures_folder: Path) -> None:
    lines = ['{"image": "0.jpg"}', "no object", '{"image": "2.jpg"}']
    (pictures_folder / "list.jsonl").write_text("\n".join(lines))
    dataset = ImageTextDataset(pictures_folder / "list.jsonl", on_error="skip")
    assert [sample["index"] for sample in dataset.__getitems__([0, 1, 2])] == [0, 2]
    with pytest.raises(ImageLoadError):
        ImageTextDataset(pictures_folder / "list.jsonl")[1]


def test_the_files_of_a_parquet_folder_are_one_list_with_all_their_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["a", "b"], "width": [1, 2]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"url": ["c"], "height": [3]}), tmp_path / "1.parquet")
    rows = open_list(tmp_path)
    assert [rows.row(index) for index in range(len(rows))] == [
        {"url": "a", "width": 1, "height": None},
        {"url": "b", "width": 2, "height": None},
        {"url": "c", "width": None, "height": 3},
    ]
    pq.write_table(pa.table({"url": [[1]]}), tmp_path / "2.parquet")
    with pytest.raises(InputError, match="do not fit together"):
        open_list(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_list(tmp_path / "none.csv")
    with pytest.raises(InputError, match="holds no images"):
        open_list(tmp_path)
    with pytest.raises(InputError, match="column_map"):
        ImageTextDataset([{"photo": "a.jpg"}])
    with pytest.raises(InputError, match="no column 'foto'"):
        ImageTextDataset([{"photo": "a.jpg"}], column_map={"image": "foto"})


def test_a_missing_package_names_what_to_install() -> None:
    try:
        import transformers  # noqa: F401
    except ImportError:
        from img2dataset.training import CaptionTokenizer

        with pytest.raises(MissingDependency, match="pip install transformers"):
            CaptionTokenizer("openai/clip-vit-base-patch32")
    else:
        pytest.skip("transformers is installed")

"""Lists whose layout says more than their format: no header, COCO's captions, LLaVA's conversations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError
from img2dataset.training import ImageTextDataset, MetadataDataset, open_list
from tests.pictures import photograph


def rows_of(source: Any, **options: Any) -> list[dict[str, Any]]:
    rows = open_list(source, **options)
    return [rows.row(index) for index in range(len(rows))]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", "https://a.org/1\ta dog\nhttps://a.org/2\ta cat\n", [("https://a.org/1", "a dog")]),
        ("a.tsv", "a dog, black\thttps://a.org/1.jpg?w=5\nx\thttp://b\n", [("https://a.org/1.jpg?w=5", 0)]),
        ("a.tsv", "sub/1.JPG\ta dog\nsub/2.JPG\t\n", [("sub/1.JPG", "a dog"), ("sub/2.JPG", None)]),
        ("a.csv", '\ufeff/data/1.webp,"a dog, black"\n2.png,x\n', [("/data/1.webp", "a dog, black")]),
        ("a.csv", "s3://bucket/1,text\n", [("s3://bucket/1", "text")]),
        ("a.tsv.gz", "1.png\ta dog\n", [("1.png", "a dog")]),
        ("a.csv", "1.png\n2.png\n", [("1.png", 0), ("2.png", 0)]),
    ],
)
def test_the_first_row_of_a_list_without_a_header_is_a_row(
    tmp_path: Path, name: str, content: str, expected: list[tuple[str, Any]]
) -> None:
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    dataset = ImageTextDataset(tmp_path / name)
    assert len(dataset) == content.count("\n")
    for index, (image, caption) in enumerate(expected):
        assert dataset.sources(index) == [image]
        if caption != 0:
            assert dataset.rows.row(index)["caption"] == caption


@pytest.mark.parametrize(
    ("first", "columns"),
    [
        ("url,caption", ("url", "caption")),
        ("image.png,caption", ("image.png", "caption")),
        ("my picture,words", ("my picture", "words")),
        (" image , caption ", ("image", "caption")),
    ],
)
def test_a_header_is_a_header(tmp_path: Path, first: str, columns: tuple[str, ...]) -> None:
    (tmp_path / "a.csv").write_text(f"{first}\na.jpg,one\n")
    rows = open_list(tmp_path / "a.csv")
    assert (rows.columns, len(rows)) == (columns, 1)


@pytest.mark.parametrize("first", ["a.jpg\tb.jpg", "a.jpg\tone\ttwo", "https://a.org\tb.jpg\tone"])
def test_columns_without_a_header_that_cannot_be_told_apart_are_to_be_named(
    tmp_path: Path, first: str
) -> None:
    (tmp_path / "a.tsv").write_text(f"{first}\n{first}\n")
    with pytest.raises(InputError, match=r"a\.tsv has no header.*column_names=\["):
        open_list(tmp_path / "a.tsv")
    names = ["image", "caption", "more"][: first.count("\t") + 1]
    expected = dict(zip(names, first.split("\t"), strict=True))
    assert rows_of(tmp_path / "a.tsv", column_names=names) == [expected] * 2


def test_columns_are_named_by_a_plain_argument(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("abc\tone\ndef\ttwo\n")
    dataset = ImageTextDataset(tmp_path / "a.tsv", column_names=["image", "caption"])
    assert [dataset.sources(index) for index in range(len(dataset))] == [["abc"], ["def"]]
    with pytest.raises(InputError, match="column_names"):
        ImageTextDataset(tmp_path / "a.tsv")
    with pytest.raises(InputError, match="it takes a list of names"):
        ImageTextDataset(tmp_path / "a.tsv", column_names="image")
    (tmp_path / "a.jsonl").write_text('{"image": "a.jpg"}\n')
    for source in (tmp_path / "a.jsonl", [{"image": "a.jpg"}]):
        with pytest.raises(InputError, match="column_names is for a csv or tsv without a header"):
            ImageTextDataset(source, column_names=["image"])


def test_blanks_around_the_names_of_a_header_are_no_part_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("url , caption, n\na.jpg , one dog,5\n,,\n")
    assert rows_of(tmp_path / "a.csv") == [
        {"url": "a.jpg", "caption": "one dog", "n": "5"},
        {"url": None, "caption": None, "n": None},
    ]
    (tmp_path / "a.csv").write_text("url,caption, caption\na.jpg,one,two\n")
    with pytest.raises(InputError, match='named "caption" but for blanks'):
        open_list(tmp_path / "a.csv")


COCO: dict[str, Any] = {
    "info": {"year": 2017},
    "licenses": [{"id": 1}],
    "images": [
        {"id": 7, "file_name": "7.jpg", "coco_url": "http://example.org/7.jpg", "width": 40, "height": 30},
        {"id": 9, "file_name": "9.jpg", "coco_url": "http://example.org/9.jpg", "width": 50, "height": 30},
        {"id": 8, "file_name": "8.jpg", "coco_url": "http://example.org/8.jpg", "width": 60, "height": 30},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "caption": "A man. "},
        {"id": 2, "image_id": 7, "caption": "A dog."},
        {"id": 3, "image_id": 9, "caption": "Another man."},
    ],
}


@pytest.mark.parametrize("name", ["captions_train2017.json", "captions.json.gz"])
def test_captions_of_coco_are_those_of_their_images(tmp_path: Path, name: str) -> None:
    text = ("\ufeff " + json.dumps(COCO, indent=1)).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / "train2017").mkdir()
    for image in COCO["images"]:
        path = tmp_path / "train2017" / image["file_name"]
        path.write_bytes(photograph(image["width"], image["height"], image["id"]))
    dataset = ImageTextDataset(tmp_path / name, base_path=tmp_path / "train2017", captions="all")
    samples = [dataset[index] for index in range(len(dataset))]
    assert [sample["img"].width for sample in samples] == [40, 50, 60]
    assert [sample["caption"] for sample in samples] == [["A dog."], ["A man.", "Another man."], [""]]
    assert samples[1]["metadata"] == {"id": 9, "coco_url": "http://example.org/9.jpg"}
    by_url = ImageTextDataset(tmp_path / name, column_map={"image": "coco_url"})
    assert by_url.sources(2) == ["http://example.org/8.jpg"]


def test_what_only_looks_like_captions_of_coco_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "instances.json"
    boxes = [{"id": 1, "image_id": 7, "bbox": [0, 0, 1, 1]}]
    path.write_text(json.dumps(COCO | {"annotations": boxes}))
    with pytest.raises(InputError, match="have no captions, but id, image_id, bbox"):
        open_list(path)
    path.write_text(json.dumps(COCO | {"images": [{"file_name": "7.jpg"}]}))
    with pytest.raises(InputError, match="do not each have an id"):
        open_list(path)
    path.write_text(json.dumps(COCO | {"images": COCO["images"][:1]}))
    assert rows_of(path) == [{**COCO["images"][0], "captions": ["A dog."]}]
    assert "2 captions of" in caplog.text
    assert "belong to no image" in caplog.text
    # Columns of one length are a list as a download reads it.
    path.write_text(json.dumps({"images": ["a.jpg"], "annotations": ["one"]}))
    assert rows_of(path) == [{"images": "a.jpg", "annotations": "one"}]


CONVERSATION = [
    {"from": "human", "value": "<image>\nWhat is it?"},
    {"from": "gpt", "value": "A dog."},
    {"from": "human", "value": "Which colour?"},
    {"from": "gpt", "value": "Black."},
]
LLAVA = [
    {"id": "0", "image": "0.jpg", "conversations": CONVERSATION},
    {"id": "1", "image": "0.jpg", "conversations": [{"from": "human", "value": "What?"}]},
    {"id": "2", "image": "0.jpg", "conversations": None},
]


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "memory"])
def test_the_caption_of_a_conversation_is_the_first_answer(tmp_path: Path, kind: str) -> None:
    (tmp_path / "0.jpg").write_bytes(photograph(32, 24))
    source: Any = tmp_path / f"list.{kind}"
    if kind == "json":
        source.write_text(json.dumps(LLAVA))
    elif kind == "jsonl":
        source.write_text("\n".join(map(json.dumps, LLAVA)))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(LLAVA), source)
    else:
        source = LLAVA
    dataset = ImageTextDataset(source, base_path=tmp_path)
    assert [dataset[index]["caption"] for index in range(3)] == ["A dog.", "", ""]
    assert dataset[0]["metadata"] == {"id": "0", "conversations": CONVERSATION}
    assert MetadataDataset(source, image_columns=())[0] == LLAVA[0]


def test_messages_are_conversations_too_and_captions_come_before_both() -> None:
    content = [{"type": "text", "text": "A cat."}]
    messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": content}]
    rows = [{"image": photograph(32, 24), "messages": messages}]
    assert ImageTextDataset(rows)[0]["caption"] == "A cat."
    assert ImageTextDataset([rows[0] | {"text": "mine"}])[0]["caption"] == "mine"
    assert (
        ImageTextDataset([{"image": photograph(32, 24), "messages": "no conversation"}])[0]["caption"] == ""
    )

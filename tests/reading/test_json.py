"""json and jsonl."""

import json

import pytest

from img2dataset.errors import InputError
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN


def lines(*objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_each_line_is_an_object_and_blank_lines_are_no_rows(write, rows):
    path = write("a.jsonl", '{"url": "http://a", "c": "x"}\r\n\r\n  \n{"c": null, "url": "http://b"}')
    assert rows(path, "jsonl", caption_col="c") == [
        {"caption": "x", "url": "http://a"},
        {"caption": None, "url": "http://b"},
    ]


def test_lines_that_are_no_objects_are_rows_that_failed(write, shards):
    bad = ["{broken", "[1]", "3", "null", '"x"', "[" * 100_000, "9" * 5000]
    path = write(
        "a.jsonl", lines({"url": "http://a", "n": 1}) + "\n".join(bad) + "\n" + lines({"url": "http://b"})
    )
    [shard] = shards(path, "jsonl", save_additional_columns=("n",))
    assert shard.rows.column("url").to_pylist() == ["http://a", *[None] * 7, "http://b"]
    assert shard.invalid_urls == dict.fromkeys(range(1, 8), "invalid row: not a JSON object")


def test_reasons_keep_to_their_rows_across_shards(write, shards):
    path = write(
        "a.jsonl", lines({"url": "http://a"}) + "bad\n" + lines({"url": 5}, {"url": " "}, {"url": True})
    )
    assert [dict(shard.invalid_urls) for shard in shards(path, "jsonl", rows_per_shard=2)] == [
        {1: "invalid row: not a JSON object"},
        {0: "invalid url: not a string"},
        {0: "invalid url: not a string"},
    ]


def test_captions_of_other_types_are_shown_as_text(write, rows):
    values = ["x", 1, 1.5, 2.0, True, None, ["a", 1], {"k": "é"}, "\ud800!"]
    path = write("a.jsonl", lines(*({"url": "http://a", "c": value} for value in values)))
    assert [row["caption"] for row in rows(path, "jsonl", caption_col="c")] == [
        "x",
        "1",
        "1.5",
        "2.0",
        "True",
        None,
        '["a", 1]',
        '{"k": "é"}',
        "�!",
    ]


def test_additional_columns_keep_their_structure(write, shards):
    path = write(
        "a.jsonl",
        lines(
            {"url": "http://a", "n": 1, "f": 1, "s": {"a": 1, "b": [1, 2]}, "d": "2020-01-01", "l": ["x"]},
            {"url": "http://b", "n": None, "f": 0.5, "s": {"a": 2}, "l": []},
        ),
    )
    [shard] = shards(path, "jsonl", save_additional_columns=("n", "f", "s", "d", "l"))
    assert [str(field.type).replace("item:", "element:") for field in shard.rows.schema] == [
        "int64",
        "double",
        "struct<a: int64, b: list<element: int64>>",
        "string",
        "list<element: string>",
        "string",
    ]
    assert shard.rows.to_pylist()[1] == {
        "n": None,
        "f": 0.5,
        "s": {"a": 2, "b": None},
        "d": None,
        "l": [],
        "url": "http://b",
    }


@pytest.mark.parametrize(
    ("top", "later", "kept"),
    [
        (1, "x", None),
        (1, 1.5, None),
        (1, 2**70, None),
        (1, True, None),
        (1.5, 2, 2.0),
        (True, 1, None),
        ("x", 5, "5"),
        ("x", {"a": 1}, '{"a": 1}'),
        (None, 5, "5"),
        ([1], [1.5], None),
        ([1], [2], [2]),
        ({"a": 1}, {"a": 2, "z": 3}, {"a": 2}),
        ({"a": 1}, {"a": "x"}, None),
        ({"a": 1}, "x", None),
        ({}, {"a": 1}, '{"a": 1}'),
        ({"a": "x"}, {"a": "\ud800"}, {"a": "�"}),
    ],
)
def test_what_does_not_fit_the_type_at_the_top_is_never_cut_to_fit(write, rows, caplog, top, later, kept):
    # The first block, of a mebibyte, settles the type.
    filler = [{"url": "http://a", "x": top, "pad": "p" * 1000} for _ in range(1100)]
    path = write("a.jsonl", lines(*filler, {"url": "http://b", "x": later}, {"url": "http://c", "x": later}))
    found = rows(path, "jsonl", save_additional_columns=("x",))
    assert [row["x"] for row in found[-2:]] == [kept, kept]
    assert [row["url"] for row in found[-2:]] == ["http://b", "http://c"]
    loses = kept is None or (isinstance(kept, dict) and len(kept) < len(later))
    assert len([record for record in caplog.records if '"x"' in record.message]) == (1 if loses else 0)


def test_types_mixed_at_the_top_are_kept_as_text(write, rows, caplog):
    path = write("a.jsonl", lines(*({"url": "http://a", "x": x} for x in (1, "one", [1], None))))
    assert [row["x"] for row in rows(path, "jsonl", save_additional_columns=("x",))] == [
        "1",
        "one",
        "[1]",
        None,
    ]
    assert "several types" in caplog.text


def test_a_list_without_a_single_object_is_another_format(write, shards):
    with pytest.raises(InputError, match="none of the first 2 rows"):
        shards(write("a.jsonl", "http://a\nhttp://b\n"), "jsonl")


def test_boxes_and_hashes_are_carried_under_hidden_names(write, rows):
    boxes = [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]]
    path = write(
        "a.jsonl", lines({"url": "http://a", "b": boxes, "h": "00ff"}, {"url": "http://b", "b": "x", "h": 12})
    )
    assert rows(path, "jsonl", bbox_col="b", verify_hash=("h", "sha256")) == [
        {"url": "http://a", BBOX_COLUMN: boxes, EXPECTED_HASH_COLUMN: "00ff"},
        {"url": "http://b", BBOX_COLUMN: [[]], EXPECTED_HASH_COLUMN: "12"},
    ]


DOCUMENTS = {
    "records": [{"url": "http://a", "c": "x"}, {"url": "http://b", "c": "y"}],
    "columns by index": {"url": {"7": "http://a", "9": "http://b"}, "c": {"9": "y", "7": "x"}},
    "columns by place": {"url": ["http://a", "http://b"], "c": ["x", "y"], "title": "a dataset"},
}


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_json_document_may_hold_records_or_columns(write, rows, form, name):
    path = write(name, json.dumps(DOCUMENTS[form], indent=1))
    found = rows(path, name[2:], caption_col="c")
    assert found == [{"caption": "x", "url": "http://a"}, {"caption": "y", "url": "http://b"}]


def test_the_lists_of_sbu_are_columns(write, rows):
    document = {"image_urls": ["http://a", "http://b"], "captions": ["x", "y"], "user_ids": ["u", "v"]}
    found = rows(
        write("sbu.json", json.dumps(document)),
        "json",
        url_col="image_urls",
        caption_col="captions",
        save_additional_columns=("user_ids",),
    )
    assert found[1] == {"user_ids": "v", "caption": "y", "url": "http://b"}


def test_a_record_that_is_no_object_is_a_row_that_failed(write, shards):
    [shard] = shards(write("a.json", '[{"url": "http://a"}, 3, null]'), "json")
    assert shard.invalid_urls == dict.fromkeys((1, 2), "invalid row: not a JSON object")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"url": ["a", "b"], "c": ["x"]}', "different lengths"),
        ('{"url": "http://a"}', "one object, not a list of rows"),
        ("3", "not a JSON document of rows"),
        ('[{"url": "a"}', "not one JSON document"),
        ('{"url": "a"}\n{"url": "b"}\n', "input_format jsonl"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_list_of_rows_says_why(write, shards, text, reason):
    with pytest.raises(InputError, match=reason):
        shards(write("a.json", text), "json")


def test_a_document_can_be_read_again(write, reader):
    opened = reader(write("a.json", json.dumps(DOCUMENTS["records"])), "json")
    passes = [[shard.rows.to_pylist() for shard in opened.shards()] for _ in range(3)]
    assert passes[0] == passes[1] == passes[2] == [[{"url": "http://a"}, {"url": "http://b"}]]
    assert opened.total_rows() == 2

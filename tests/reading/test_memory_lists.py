"""Lists given from Python."""

import datetime
import gc
import tempfile

import pyarrow as pa
import pytest

from img2dataset.errors import InputError
from img2dataset.types import BBOX_COLUMN
from tests.reading.breaking import urls_before_error


def test_an_iterable_of_urls_is_a_list(shards):
    [shard] = shards(["http://a", None, " ", 5, b"http://b"], "txt", url_col="anything")
    assert shard.rows.column("url").to_pylist() == ["http://a", None, None, None, "http://b"]
    assert shard.invalid_urls == {3: "invalid url: not a string"}


def test_dictionaries_have_columns_of_any_python_type(shards):
    day = datetime.datetime(2020, 1, 1)
    [shard] = shards(
        ({"u": f"http://{i}", "c": i, "when": day, "boxes": [[0, 0, 1, 1]]} for i in range(3)),
        "txt",
        url_col="u",
        caption_col="c",
        bbox_col="boxes",
        save_additional_columns=("when",),
    )
    assert shard.rows.to_pylist()[2] == {
        "when": day,
        "caption": "2",
        "url": "http://2",
        BBOX_COLUMN: [[0.0, 0.0, 1.0, 1.0]],
    }


@pytest.mark.parametrize("as_list", [lambda t: t, lambda t: t.to_batches()[0], lambda t: t.to_pydict()])
def test_arrow_tables_and_dictionaries_of_columns_are_lists(shards, as_list):
    table = pa.table({"id": [1, 2, 3], "url": ["a", "b", "c"], "t": ["x", None, "z"]})
    found = shards(as_list(table), "txt", caption_col="t", save_additional_columns=("id",), rows_per_shard=2)
    assert [shard.rows.to_pylist() for shard in found] == [
        [{"id": 1, "caption": "x", "url": "a"}, {"id": 2, "caption": None, "url": "b"}],
        [{"id": 3, "caption": "z", "url": "c"}],
    ]


def test_an_arrow_array_of_urls_is_a_list(shards):
    assert shards(pa.array(["a", "b"]), "txt")[0].rows.column("url").to_pylist() == ["a", "b"]


def test_a_stream_of_record_batches_is_read_once_and_can_be_repeated(reader):
    table = pa.table({"url": ["a", "b", "c"], "d": pa.array(["x", "y", "x"]).dictionary_encode()})
    stream = pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(max_chunksize=2)))
    opened = reader(stream, "txt", save_additional_columns=("d",))
    for _ in range(2):
        [shard] = opened.shards()
        assert shard.rows.to_pylist() == [{"d": d, "url": url} for url, d in zip("abc", "xyx", strict=True)]


def test_a_generator_can_be_read_again_even_after_a_pass_that_was_left(reader):
    def urls():
        for i in range(5000):
            yield i if i % 1000 == 7 else f"http://{i}"

    opened = reader(urls(), "txt", rows_per_shard=900)
    left = opened.shards()
    first = next(left)
    second = list(opened.shards())
    third = list(opened.shards(skip={0, 3}))
    rest = list(left)
    assert [shard.rows.num_rows for shard in second] == [900, 900, 900, 900, 900, 500]
    assert first.rows.equals(second[0].rows)
    assert [shard.shard_id for shard in third] == [1, 2, 4, 5]
    for shard in [*third, *rest]:
        assert shard.rows.equals(second[shard.shard_id].rows)
        assert shard.invalid_urls == second[shard.shard_id].invalid_urls
    assert [len(shard.invalid_urls) for shard in second] == [1, 1, 1, 1, 1, 0]
    assert opened.total_rows() == 5000


def test_the_first_shard_comes_before_the_generator_is_drained(reader):
    given = 0

    def urls():
        nonlocal given
        for i in range(100_000):
            given += 1
            yield f"http://{i}"

    next(reader(urls(), "txt", rows_per_shard=10).shards())
    assert given < 3000


def test_the_copy_of_a_one_shot_list_goes_away_with_its_reader(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = reader(iter(["http://a"] * 10), "txt")
    (copy,) = tmp_path.iterdir()
    assert copy.match("img2dataset-list-*.arrow")
    del opened
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_an_iterator_that_fails_is_an_input_error_after_its_rows(reader):
    def urls():
        yield from ["http://a"] * 3000
        raise RuntimeError("database gone")

    found, message = urls_before_error(reader(urls(), "txt", rows_per_shard=500))
    assert "iterator failed: RuntimeError: database gone" in message
    assert len(found) >= 2048


def test_sizes_are_known_where_python_knows_them(reader):
    assert reader(["a"] * 7, "txt").total_rows() == 7
    assert reader(pa.table({"url": ["a"] * 7}), "txt").total_rows() == 7
    assert reader((url for url in "abc"), "txt").total_rows() is None
    assert reader(["a"], "txt").files == []


@pytest.mark.parametrize(
    ("url_list", "reason"),
    [
        (5, "is of type int"),
        (b"http://a", "is bytes"),
        ([{"link": "http://a"}], 'no column "url".*link'),
        (pa.table({"link": ["a"]}), 'no column "url".*link'),
        ({"url": ["a", "b"], "c": ["x"]}, "different lengths"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_list_says_why(reader, url_list, reason):
    with pytest.raises(InputError, match=reason):
        reader(url_list, "txt")

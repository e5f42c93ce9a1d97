"""A list that grew: the rows that are not known yet, in shards of their own."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.errors import InputError
from img2dataset.failures import URL_NOT_A_STRING
from img2dataset.options import InputOptions
from img2dataset.reading import KnownUrls, only_new_rows, open_reader
from img2dataset.types import Shard
from tests.working.shards import settings_for, write_shard


def known_urls(folder, urls):
    known = KnownUrls(str(folder))
    known.add(pa.chunked_array([pa.array(urls, pa.string())]))
    return known


def content(shards):
    """Shard number → its rows, and the places and reasons of its invalid URLs."""
    return {shard.shard_id: (shard.rows.to_pylist(), dict(shard.invalid_urls)) for shard in shards}


def expected_shards(rows, rows_per_shard, first_shard_id):
    """The same from the rows as they stand in the list, cut by hand."""
    found = {}
    for start in range(0, len(rows), rows_per_shard):
        piece = rows[start : start + rows_per_shard]
        found[first_shard_id + len(found)] = (
            [{"n": number, "url": url if isinstance(url, str) else None} for number, url in piece],
            {index: URL_NOT_A_STRING for index, (_, url) in enumerate(piece) if isinstance(url, int)},
        )
    return found


# A dozen URLs, so that lists repeat them; null and a number are rows without a URL.
url_values = st.one_of(
    st.sampled_from([f"http://{letter}" for letter in "abcdefghijkl"]), st.none(), st.just(5)
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(url_values, max_size=40), min_size=1, max_size=4).filter(any),
    st.sets(st.sampled_from([f"http://{letter}" for letter in "abcdefghijkl"])),
    st.integers(1, 15),
    st.integers(1, 15),
    st.integers(0, 30),
    st.sets(st.integers(0, 40)),
)
def test_new_rows_of_several_files_fill_shards_in_the_order_of_the_list(
    files, known_before, rows_read_at_once, rows_per_shard, first_shard_id, skip
):
    rows = list(enumerate(url for urls in files for url in urls))
    new = [(number, url) for number, url in rows if url not in known_before]
    expected = expected_shards(new, rows_per_shard, first_shard_id)
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        for name, urls in enumerate(files):
            lines = [json.dumps({"url": url, "n": number + place}) for place, url in enumerate(urls)]
            number += len(urls)
            Path(folder, f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
        reader = open_reader(
            InputOptions(url_list=folder, input_format="jsonl", save_additional_columns=("n",)),
            rows_read_at_once,
        )
        with known_urls(folder, sorted(known_before)) as known:
            for _ in range(2):
                left_out = []
                found = only_new_rows(reader.shards(), known, rows_per_shard, first_shard_id, left_out.append)
                assert content(found) == expected
                assert sum(left_out) == len(rows) - len(new)
            left_out = []
            found = only_new_rows(
                reader.shards(), known, rows_per_shard, first_shard_id, left_out.append, skip
            )
            assert content(found) == {key: value for key, value in expected.items() if key not in skip}
            assert sum(left_out) == len(rows) - len(new)


def test_a_list_that_grew_gives_its_new_rows(tmp_path):
    """The output is written by the writing room: of ten rows 1, 4 and 7 failed, and are there."""
    urls = [f"http://example.com/{row}.jpg" for row in range(10)]
    table = pa.table({"caption": pa.nulls(10, pa.string()), "url": pa.array(urls, pa.string())})
    write_shard(settings_for(tmp_path / "out", "webdataset"), table)
    (tmp_path / "grown.txt").write_text("".join(f"{url}\n" for url in ["http://first", *urls, "http://last"]))
    reader = open_reader(InputOptions(url_list=str(tmp_path / "grown.txt"), input_format="txt"), 3)
    with KnownUrls(str(tmp_path)) as known:
        assert known.add_from_metadata([str(tmp_path / "out" / "00000.parquet")]) == 10
        shards = list(only_new_rows(reader.shards(), known, 3, first_shard_id=1))
    assert [shard.shard_id for shard in shards] == [1]
    assert shards[0].rows.column("url").to_pylist() == ["http://first", "http://last"]


def test_as_many_rows_without_a_url_are_left_out_as_are_known(tmp_path):
    rows = [{"url": None}, {"url": "http://a"}, {}, {"url": "http://b"}, {"url": None}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = open_reader(InputOptions(url_list=str(tmp_path / "a.jsonl"), input_format="jsonl"), 2)
    for known_nulls, left in ((0, 3), (1, 2), (2, 1), (3, 0), (9, 0)):
        with KnownUrls(str(tmp_path)) as known:
            known.add(pa.chunked_array([pa.array(["http://a"] + [None] * known_nulls, pa.string())]))
            for _ in range(2):  # each pass counts anew
                shards = list(only_new_rows(reader.shards(), known, 10))
                urls = [url for shard in shards for url in shard.rows.column("url").to_pylist()]
                assert sorted(urls, key=str) == sorted(["http://b"] + [None] * left, key=str)


def test_numbers_that_no_shard_has_are_given_first(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"http://{row}\n" for row in range(50)))
    reader = open_reader(InputOptions(url_list=str(tmp_path / "a.txt"), input_format="txt"), 7)
    with known_urls(tmp_path, []) as known:
        plain = content(only_new_rows(reader.shards(), known, 10, 0))
        gapped = content(only_new_rows(reader.shards(), known, 10, 8, gaps=[2, 5]))
        rest = content(only_new_rows(reader.shards(), known, 10, 8, skip={2, 9}, gaps=[2, 5]))
    assert sorted(gapped) == [2, 5, 8, 9, 10]
    assert [gapped[number] for number in (2, 5, 8, 9, 10)] == [plain[number] for number in range(5)]
    assert rest == {number: gapped[number] for number in (5, 8, 10)}


def test_a_stopped_run_goes_on_with_the_shards_it_lacks(tmp_path):
    """What was known before the run and the numbers of its finished shards are all it takes."""
    urls = [f"http://{row}" for row in range(100)]
    (tmp_path / "a.txt").write_text("".join(f"{url}\n" for url in urls))
    reader = open_reader(InputOptions(url_list=str(tmp_path / "a.txt"), input_format="txt"), 8)
    with known_urls(tmp_path, urls[:50:2]) as known:
        whole = content(only_new_rows(reader.shards(), known, 10, 5))
        assert sorted(whole) == [5, 6, 7, 8, 9, 10, 11, 12]
    with known_urls(tmp_path, urls[:50:2]) as known:
        rest = content(only_new_rows(reader.shards(), known, 10, 5, skip={5, 6, 9}))
    assert rest == {number: whole[number] for number in (7, 8, 10, 11, 12)}


def test_urls_are_equal_only_as_they_stand(tmp_path):
    urls = ["http://a/x", "http://A/x", "http://a/x ", "http://a/%78", "http://a/é", "http://a/e\u0301"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"url": url}) + "\n" for url in urls))
    reader = open_reader(InputOptions(url_list=str(tmp_path / "a.jsonl"), input_format="jsonl"), 10_000)
    with known_urls(tmp_path, ["http://a/x", "http://a/é"]) as known:
        [shard] = only_new_rows(reader.shards(), known, 100)
    assert shard.rows.column("url").to_pylist() == [
        "http://A/x",
        "http://a/x ",
        "http://a/%78",
        "http://a/e\u0301",
    ]


def test_nothing_new_is_no_shard(tmp_path):
    (tmp_path / "a.txt").write_text("http://a\nhttp://b\n")
    reader = open_reader(InputOptions(url_list=str(tmp_path / "a.txt"), input_format="txt"), 10_000)
    counts = []
    with known_urls(tmp_path, ["http://a", "http://b"]) as known:
        assert list(only_new_rows(reader.shards(), known, 10, on_known=counts.append)) == []
    assert counts == [2]
    assert reader.rows_of_files == [2]


def column_of_views():
    return pa.array(["v0", None, "a view of more than twelve bytes", "v3", "v4"], pa.string()).cast(
        pa.string_view()
    )


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1, None, 3, 4], pa.int16()),
        pa.array([[0.5], [], None, [1, 2], [4]], pa.list_(pa.float32())),
        pa.array([{"x": 0}, None, {"x": 2}, {"x": 3}, {"x": 4}]),
        pa.array(["a", "b", "a", None, "c"]).dictionary_encode(),
        column_of_views(),
    ],
    ids=lambda column: str(column.type),
)
def test_other_columns_go_along_whatever_their_type(tmp_path, column):
    urls = [f"http://{row}" for row in range(5)]
    shards = [
        Shard(number, pa.table({"x": column, "url": pa.array([f"{url}/{number}" for url in urls])}))
        for number in range(3)
    ]
    with known_urls(tmp_path, ["http://1/0", "http://4/0", "http://0/1", "http://3/2"]) as known:
        [new] = only_new_rows(shards, known, 100)
    values = column.to_pylist()
    kept = [0, 2, 3, 1, 2, 3, 4, 0, 1, 2, 4]
    assert new.rows.column("x").to_pylist() == [values[place] for place in kept]
    assert new.rows.schema.field("x").type == column.type


def test_the_rows_before_a_break_come_before_its_error(tmp_path):
    pq.write_table(pa.table({"url": [f"http://{row}" for row in range(10)]}), tmp_path / "0.parquet")
    whole = pa.table({"url": [f"http://b/{row:0500}" for row in range(20000)]})
    pq.write_table(
        whole, tmp_path / "1.parquet", row_group_size=10000, compression="none", use_dictionary=False
    )
    data = bytearray((tmp_path / "1.parquet").read_bytes())
    second = pq.ParquetFile(tmp_path / "1.parquet").metadata.row_group(1).column(0).data_page_offset
    data[second : second + 2000] = b"\xff" * 2000
    (tmp_path / "1.parquet").write_bytes(data)
    reader = open_reader(InputOptions(url_list=str(tmp_path), input_format="parquet"), 4000)
    with known_urls(tmp_path / "known", ["http://3", "http://b/" + "0" * 500]) as known:
        found = []
        with pytest.raises(InputError, match=r"1\.parquet breaks off"):
            found.extend(only_new_rows(reader.shards(), known, 4000, 7))
    assert [shard.shard_id for shard in found] == [7, 8, 9]
    assert [shard.rows.num_rows for shard in found] == [4000, 4000, 2008]


def test_the_first_shard_waits_for_no_more_rows_than_it_holds(tmp_path):
    taken = []

    def endless():
        for number in range(10**9):
            taken.append(number)
            yield Shard(number, pa.table({"url": [f"http://{number}/{row}" for row in range(10)]}))

    with known_urls(
        tmp_path, [f"http://{number}/{row}" for number in range(3) for row in range(10)]
    ) as known:
        first = next(only_new_rows(endless(), known, 25))
    assert first.rows.num_rows == 25
    assert taken == [0, 1, 2, 3, 4, 5]

"""Shard numbers depend on the list alone, whatever is skipped and wherever blocks begin."""

import json
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.options import InputOptions
from img2dataset.reading import open_reader


def write_list(folder, name, urls, input_format):
    path = Path(folder, f"{name}.{input_format}")
    if input_format == "parquet":
        pq.write_table(pa.table({"url": pa.array(urls, pa.string())}), path, row_group_size=7)
    elif input_format == "jsonl":
        path.write_text("".join(json.dumps({"url": url}) + "\n" for url in urls))
    elif input_format == "json":
        path.write_text(json.dumps({"url": urls}))
    else:
        header = [] if input_format == "txt" else ["url"]
        path.write_text("".join(f"{line}\n" for line in [*header, *urls]))


def numbered(shards):
    return {shard.shard_id: shard.rows.column("url").to_pylist() for shard in shards}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["txt", "csv", "tsv", "json", "jsonl", "parquet"]),
    st.lists(st.integers(0, 40), min_size=1, max_size=4).filter(any),
    st.integers(1, 50),
    st.sets(st.integers(0, 60)),
    st.integers(0, 3),
)
def test_each_file_begins_a_shard_and_skipping_changes_no_number(
    input_format, counts, rows_per_shard, skip, first_shard_id
):
    with tempfile.TemporaryDirectory() as folder:
        expected = {}
        for number, count in enumerate(counts):
            urls = [f"http://{number}/{row}" for row in range(count)]
            write_list(folder, f"{number}", urls, input_format)
            for start in range(0, count, rows_per_shard):
                expected[first_shard_id + len(expected)] = urls[start : start + rows_per_shard]
        assert len(expected) == sum(math.ceil(count / rows_per_shard) for count in counts)
        reader = open_reader(InputOptions(url_list=folder, input_format=input_format), rows_per_shard)
        assert numbered(reader.shards(first_shard_id=first_shard_id)) == expected
        wanted = {shard_id: urls for shard_id, urls in expected.items() if shard_id not in skip}
        found = list(reader.shards(skip, first_shard_id))
        assert numbered(found) == wanted
        assert [shard.shard_id for shard in found] == sorted(wanted)


@pytest.mark.parametrize("input_format", ["csv", "jsonl"])
def test_types_are_the_same_whatever_is_skipped(write, reader, input_format):
    if input_format == "csv":
        text = "url,n\n" + "".join(f"http://a/{i},{i if i < 5 else 'x'}\n" for i in range(9))
    else:
        text = "".join(json.dumps({"url": "http://a", "n": i if i < 5 else "x"}) + "\n" for i in range(9))
    opened = reader(
        write(f"a.{input_format}", text), input_format, rows_per_shard=3, save_additional_columns=("n",)
    )
    every = {shard.shard_id: shard.rows for shard in opened.shards()}
    [last] = opened.shards(skip={0, 1})
    assert last.rows.equals(every[2])
    assert last.rows.schema == every[0].schema


def test_columns_are_named_without_the_hidden_ones(write, reader):
    path = write("a.csv", "u,t,b,h,x\nhttp://a,c,,h,1\n")
    opened = reader(
        path,
        "csv",
        url_col="u",
        caption_col="t",
        bbox_col="b",
        verify_hash=("h", "sha256"),
        save_additional_columns=("x",),
    )
    assert opened.columns == ("x", "caption", "url")

"""Which rows of a list are sampled, and how much of it is read for them."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import InputError
from img2dataset.estimating.interval import design_effect, wilson_interval
from img2dataset.estimating.sampled_list import COUNTED, PARQUET, PART_ROWS, WHOLE, sample_list
from img2dataset.options import InputOptions

ROWS = 3500
HOW = {
    **{"txt": COUNTED, "csv": COUNTED, "tsv": COUNTED, "jsonl": COUNTED, "parquet": PARQUET},
    **{"json": WHOLE, "txt.gz": WHOLE, "csv.gz": WHOLE, "jsonl.gz": WHOLE},
}


def url(row: int) -> str:
    return f"http://example.com/{row}.jpg"


def write(path: Path, input_format: str, rows: int = ROWS) -> InputOptions:
    records = [
        {"url": url(row), "caption": f'"{row}", quoted\nin two lines', "id": row} for row in range(rows)
    ]
    kind, _, compressed = input_format.partition(".")
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=700)
    else:
        opened: Any = gzip.open if compressed else open
        with opened(path, "wt", encoding="utf-8", newline="") as file:
            if kind == "txt":
                file.writelines(f"{record['url']}\n" for record in records)
            elif kind == "json":
                json.dump(records, file)
            elif kind == "jsonl":
                file.writelines(json.dumps(record) + "\n" for record in records)
            else:
                writer = csv.DictWriter(file, list(records[0]), delimiter="\t" if kind == "tsv" else ",")
                writer.writeheader()
                writer.writerows(records)
    has_columns = kind != "txt"
    return InputOptions(
        url_list=str(path),
        input_format=input_format,
        caption_col="caption" if has_columns else None,
        save_additional_columns=("id",) if has_columns else None,
    )


@pytest.mark.parametrize("input_format", HOW)
def test_rows_of_every_format_are_whole_and_different(tmp_path: Path, input_format: str) -> None:
    options = write(tmp_path / "list", input_format)
    sampled = sample_list(options, 500, seed=1)
    assert (sampled.rows_of_list, sampled.is_whole, sampled.how_read) == (ROWS, False, HOW[input_format])
    urls = sampled.rows.column("url").to_pylist()
    assert len(urls) == len(sampled.part_of) == len(set(urls))
    assert 480 <= len(urls) <= 500
    for row in sampled.rows.to_pylist():
        number = int(row["url"].rpartition("/")[2].removesuffix(".jpg"))
        assert row["url"] == url(number)
        if input_format.partition(".")[0] != "txt":
            assert row["caption"] == f'"{number}", quoted\nin two lines'
            assert int(row["id"]) == number
    assert sample_list(options, 500, seed=1).rows.equals(sampled.rows)
    assert not sample_list(options, 500, seed=2).rows.equals(sampled.rows)


@pytest.mark.parametrize("input_format", ["txt", "csv.gz", "parquet"])
@pytest.mark.parametrize("count", [ROWS, ROWS + 1, 10 * ROWS])
def test_a_list_with_no_more_rows_is_taken_whole(tmp_path: Path, input_format: str, count: int) -> None:
    sampled = sample_list(write(tmp_path / "list", input_format), count, seed=3)
    assert sampled.is_whole
    assert sampled.rows.column("url").to_pylist() == [url(row) for row in range(ROWS)]


def test_every_row_is_as_likely_as_any_other(tmp_path: Path) -> None:
    # The last part is half as long as the others, and must have half as many rows.
    options = write(tmp_path / "list", "txt")
    found: Counter[int] = Counter()
    samples = 150
    for seed in range(samples):
        for each in sample_list(options, 64, seed).rows.column("url").to_pylist():
            found[int(each.rpartition("/")[2].removesuffix(".jpg")) * 7 // ROWS] += 1
    expected = samples * 64 / 7
    assert all(0.88 * expected < found[each] < 1.12 * expected for each in range(7)), found


def test_a_folder_of_files_is_one_list(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.parquet", "parquet", 1000)
    options = InputOptions(url_list=str(tmp_path), input_format="parquet")
    sampled = sample_list(options, 200, seed=0)
    assert sampled.rows_of_list == 3000
    assert len(set(sampled.part_of)) > 2


def test_of_a_parquet_list_most_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    urls = [url(row) for row in range(100 * PART_ROWS)]
    pq.write_table(pa.table({"url": urls}), path, row_group_size=PART_ROWS, use_dictionary=False)
    found = pq.ParquetFile(path)
    options = InputOptions(url_list=str(path), input_format="parquet")
    sampled = sample_list(options, 100, seed=0)
    # Row groups that were not drawn are not looked at: they may be broken.
    drawn = {int(each.rpartition("/")[2].removesuffix(".jpg")) // PART_ROWS for each in _urls(sampled)}
    contents = bytearray(path.read_bytes())
    for group in set(range(100)) - drawn:
        column = found.metadata.row_group(group).column(0)
        begin = column.data_page_offset
        contents[begin : begin + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(contents)
    assert _urls(sample_list(options, 100, seed=0)) == _urls(sampled)


def _urls(sampled: Any) -> list[str]:
    urls: list[str] = sampled.rows.column("url").to_pylist()
    return urls


def test_of_a_sorted_list_a_sample_says_less(tmp_path: Path) -> None:
    options = write(tmp_path / "list", "txt", 40 * PART_ROWS)
    widths = []
    for works in (lambda number: number % 3 > 0, lambda number: number < 26 * PART_ROWS):
        sampled = sample_list(options, 500, seed=4)
        numbers = [int(each.rpartition("/")[2].removesuffix(".jpg")) for each in _urls(sampled)]
        succeeded = [works(number) for number in numbers]
        effect = design_effect(succeeded, sampled.part_of)
        share = sum(succeeded) / len(succeeded)
        low, high = wilson_interval(sum(succeeded), len(succeeded) / effect, share)
        assert low < 0.66 < high
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_list_without_rows_is_refused(tmp_path: Path, rows: int) -> None:
    (tmp_path / "list").write_text("http://example.com/0.jpg\n" * rows)
    options = InputOptions(url_list=str(tmp_path / "list"), input_format="txt")
    if rows:
        assert sample_list(options, 10, 0).rows.num_rows == 1
        return
    with pytest.raises(InputError, match="has no rows; there is nothing to estimate"):
        sample_list(options, 10, 0)

"""csv and tsv: quoting, types from the top, and rows that do not fit."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import open_reader
from img2dataset.reading.delimited_rows import BATCH_ROWS
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN
from tests.reading.breaking import urls_before_error


def written(rows, **dialect):
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows(rows)
    return out.getvalue()


def test_columns_come_in_the_order_asked_for_under_their_final_names(write, shards):
    path = write("a.csv", 'id,URL,TEXT,boxes,hash\n1,http://a,hello,"[[0,0,1,1]]",00012\n')
    [shard] = shards(
        path,
        "csv",
        url_col="URL",
        caption_col="TEXT",
        save_additional_columns=("hash", "id", "URL"),
        bbox_col="boxes",
        verify_hash=("hash", "sha256"),
    )
    assert shard.rows.to_pylist() == [
        {
            "hash": "00012",
            "id": 1,
            "URL": "http://a",
            "caption": "hello",
            "url": "http://a",
            BBOX_COLUMN: [[0.0, 0.0, 1.0, 1.0]],
            EXPECTED_HASH_COLUMN: "00012",
        }
    ]
    assert shard.rows.column_names[:5] == ["hash", "id", "URL", "caption", "url"]


def test_additional_columns_take_the_types_that_arrow_infers(write, shards):
    path = write(
        "a.csv",
        "url,i,f,b,d,t,s,none\n"
        "http://a,1,0.5,true,2020-01-01,2020-01-01 10:00:00,x,\n"
        "http://b,,NA,false,,,,\n",
    )
    [shard] = shards(path, "csv", save_additional_columns=("i", "f", "b", "d", "t", "s", "none"))
    assert [str(field.type) for field in shard.rows.schema] == [
        "int64",
        "double",
        "bool",
        "date32[day]",
        "timestamp[s]",
        "string",
        "string",
        "string",
    ]
    second = shard.rows.to_pylist()[1]
    assert second == dict.fromkeys(["i", "f", "d", "t", "none"]) | {"b": False, "s": "", "url": "http://b"}


def test_urls_and_captions_are_always_text(write, rows):
    path = write("a.csv", "url,caption\nhttp://a,1.50\nhttp://b,true\nhttp://c,NA\n7,\n")
    assert rows(path, "csv", caption_col="caption") == [
        {"caption": "1.50", "url": "http://a"},
        {"caption": "true", "url": "http://b"},
        {"caption": "NA", "url": "http://c"},
        {"caption": "", "url": "7"},
    ]


def test_a_row_without_a_url_is_a_row(write, shards):
    [shard] = shards(write("a.csv", "url,x\nhttp://a,1\n,2\n  ,3\n"), "csv", save_additional_columns=("x",))
    assert shard.rows.column("url").to_pylist() == ["http://a", None, None]
    assert shard.rows.column("x").to_pylist() == [1, 2, 3]
    assert shard.invalid_urls == {}


def test_a_value_far_down_of_another_type_makes_its_column_text(write, rows, caplog):
    count = 3 * BATCH_ROWS
    lines = [f"http://a/{i},{i},{i}.5,{i}" for i in range(count)]
    lines[count - 5] = "http://a/x,A4000,word,7"
    options = {"save_additional_columns": ("n", "f", "m")}
    found = rows(write("a.csv", "url,n,f,m\n" + "\n".join(lines)), "csv", **options)
    assert [row["n"] for row in found[-6:-4]] == [str(count - 6), "A4000"]
    assert [row["f"] for row in found[-6:-4]] == [f"{count - 6}.5", "word"]
    assert [row["m"] for row in found[-6:-4]] == [count - 6, 7]
    assert not [record for record in caplog.records if record.name == "img2dataset"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-5", "0", "9223372036854775807"], [1, -5, 0, 2**63 - 1]),
        (["1", "", "3"], [1, None, 3]),
        (["0.5", "-1.25", "1e-05", "3.0"], [0.5, -1.25, 1e-05, 3.0]),
        (["000123", "7"], ["000123", "7"]),
        (["18446744073709551557", "1"], ["18446744073709551557", "1"]),
        (["+1", "2"], ["+1", "2"]),
        (["-0", "2"], ["-0", "2"]),
        (["2.50", "1.5"], ["2.50", "1.5"]),
        (["1", "2.5"], ["1", "2.5"]),
        (["0.1234567890123456789", "1.5"], ["0.1234567890123456789", "1.5"]),
        ([" 1", "2"], [" 1", "2"]),
        (["1e5", "2.0"], ["1e5", "2.0"]),
        (["1", "A4000"], ["1", "A4000"]),
        (["nan", "1.5"], [None, 1.5]),
    ],
)
def test_a_number_is_one_only_where_it_gives_its_text_back(write, rows, texts, expected):
    """Whether they stand side by side or a batch apart."""
    for gap in (0, BATCH_ROWS):
        values = [texts[0], *[texts[0]] * gap, *texts[1:]]
        lines = [f'http://a/{i},"{text}"' for i, text in enumerate(values)]
        found = rows(write(f"{gap}.csv", "url,x\n" + "\n".join(lines)), "csv", save_additional_columns=("x",))
        assert [found[0]["x"], *(row["x"] for row in found[gap + 1 :])] == expected


def test_dates_among_which_one_is_none_are_text(write, rows):
    lines = [f"http://a/{i},2020-01-{i % 28 + 1:02}" for i in range(BATCH_ROWS + 50)]
    whole = rows(write("a.csv", "url,d\n" + "\n".join(lines)), "csv", save_additional_columns=("d",))
    assert str(whole[0]["d"]) == "2020-01-01"
    assert not isinstance(whole[0]["d"], str)
    lines[-7] = "http://a/x,soon"
    found = rows(write("b.csv", "url,d\n" + "\n".join(lines)), "csv", save_additional_columns=("d",))
    assert [found[0]["d"], found[-7]["d"]] == ["2020-01-01", "soon"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('url,c\nhttp://a,"5 inch\nhttp://b,6" screen\nhttp://c,x\n', "--input_quote None"),
        ('url,c\nhttp://a,"say \\"hi\\" now"\nhttp://b,x\n', None),
        ('url,c\nhttp://a,"a path C:\\"\nhttp://b,x\n', "--input_escape"),
        ('url,c\nhttp://a,"two\nlines, one caption"\nhttp://b,x\n', "--input_quote None"),
        ('url,c\nhttp://a,"two\nlines"\nhttp://b,x\n', None),
    ],
)
def test_what_nobody_can_have_meant_is_told(write, rows, caplog, content, said):
    rows(write("a.csv", content), "csv", caption_col="c")
    warned = [record.getMessage() for record in caplog.records if record.name == "img2dataset"]
    assert len(warned) == (said is not None)
    assert said is None or said in warned[0]


def test_escaped_quotes_are_read_where_it_is_said_that_there_are_any(write, rows):
    path = write("a.csv", 'url,c\nhttp://a,"say \\"hi\\", now"\nhttp://b,"plain \\\\"\n')
    found = rows(path, "csv", caption_col="c", input_escape="\\")
    assert [row["caption"] for row in found] == ['say "hi", now', "plain \\"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "café"),
        ("cp1252", "“café” €"),
        ("shift-jis", "写真"),
        ("utf-16", "写真 café"),
        ("utf-16-le", "é"),
    ],
)
@pytest.mark.parametrize("input_format", ["csv", "txt", "jsonl", "json"])
def test_other_encodings_are_read_where_they_are_named(tmp_path, shards, encoding, text, input_format):
    url = f"http://a/{text}"
    content = {
        "csv": f"url,c\n{url},{text}\n",
        "txt": f"{url}\n",
        "jsonl": json.dumps({"url": url, "c": text}, ensure_ascii=False) + "\n",
        "json": json.dumps([{"url": url, "c": text}], ensure_ascii=False),
    }[input_format]
    path = tmp_path / f"a.{input_format}"
    path.write_bytes(content.encode(encoding))
    caption = {} if input_format == "txt" else {"caption_col": "c"}
    [shard] = shards(path, input_format, input_encoding=encoding, **caption)
    assert shard.rows.column("url").to_pylist() == [url]
    if caption:
        assert shard.rows.column("caption").to_pylist() == [text]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_file_that_says_its_encoding_needs_none(tmp_path, rows, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("url,c\nhttp://a,写真\n".encode(encoding))
    assert rows(path, "csv", caption_col="c")[0]["caption"] == "写真"


def test_lines_that_are_no_text_are_counted_in_one_warning(tmp_path, rows, caplog):
    path = tmp_path / "a.csv"
    path.write_bytes(b"url,c\n" + b"http://a,caf\xe9\n" * 30 + b"http://b,plain\n")
    assert rows(path, "csv", caption_col="c")[0]["caption"] == "caf\ufffd"
    [warned] = [record.getMessage() for record in caplog.records if record.name == "img2dataset"]
    assert warned.startswith("30 lines of ")
    assert "--input_encoding latin-1" in warned


def test_a_column_that_is_empty_at_the_top_keeps_what_comes_later(write, rows):
    lines = [f"http://a/{i}," for i in range(2 * BATCH_ROWS)]
    lines[-1] += "late"
    found = rows(write("a.csv", "url,x\n" + "\n".join(lines)), "csv", save_additional_columns=("x",))
    assert (found[0]["x"], found[-1]["x"]) == (None, "late")


def test_rows_with_too_few_or_too_many_fields_are_kept_with_a_warning(write, rows, caplog):
    path = write("a.csv", "url,a,b\nhttp://1,1,x\nhttp://2\nhttp://3,3,y,more,and more\n")
    assert rows(path, "csv", save_additional_columns=("a", "b")) == [
        {"a": 1, "b": "x", "url": "http://1"},
        {"a": None, "b": None, "url": "http://2"},
        {"a": 3, "b": "y", "url": "http://3"},
    ]
    assert [record.message for record in caplog.records if "row 2" in record.message]
    assert len(caplog.records) == 1


def test_newlines_in_quotes_do_not_end_a_row_even_across_blocks(write, rows):
    values = [(f"http://a/{i}", 'line one,\n"line" two\r\n' * 40_000 + str(i)) for i in range(4)]
    found = rows(write("a.csv", written([("url", "c"), *values])), "csv", caption_col="c")
    assert [(row["url"], row["caption"]) for row in found] == values


def test_a_quote_inside_a_value_is_plain_text(write, rows):
    found = rows(write("a.csv", 'url,c\nhttp://a,12" disc\nhttp://b,5\'9"\n'), "csv", caption_col="c")
    assert [row["caption"] for row in found] == ['12" disc', "5'9\""]


def test_a_quote_that_is_never_closed_is_an_error_after_the_rows_before_it(write, reader):
    lines = [f"http://a/{i},x" for i in range(20)]
    path = write("a.csv", "url,c\n" + "\n".join(lines) + '\nhttp://b,"open\nhttp://c,x\n')
    found, message = urls_before_error(reader(path, "csv", rows_per_shard=6))
    assert "quote is still open" in message
    assert "--input_quote None" in message
    assert found == [f"http://a/{i}" for i in range(20)]


@pytest.mark.parametrize("extra", range(28, 36))
def test_an_open_quote_is_noticed_wherever_it_stands(write, shards, extra):
    path = write("a.csv", "url\n" + "http://a\n" * extra + '"open\n')
    with pytest.raises(InputError, match="quote is still open"):
        shards(path, "csv")


def test_quotes_can_be_switched_off(write, rows):
    path = write("a.tsv", 'url\tc\nhttp://a\t"Hello\nhttp://b\tworld"\n')
    found = rows(path, "tsv", caption_col="c", input_quote=None)
    assert [row["caption"] for row in found] == ['"Hello', 'world"']


def test_a_field_of_a_hundred_megabytes_is_a_clear_error_after_the_rows_before_it(write, reader):
    path = write("a.csv", b"url,c\n" + b"http://a,x\n" * 3 + b'http://b,"' + b"y\n" * 50_000_000 + b'"\n')
    found, message = urls_before_error(reader(path, "csv", rows_per_shard=2))
    assert "field larger than" in message
    assert found == ["http://a"] * 3


def test_nul_bytes_do_not_stop_the_run(write, rows):
    path = write("a.csv", b"url,c\nhttp://a,x\0y\nhttp://b/\0,z\n" + b"http://c,z\n" * 30)
    found = rows(path, "csv", caption_col="c")
    assert len(found) == 32
    assert found[0]["caption"] == "x�y"


def test_files_without_a_header_take_their_names_from_the_option(write, rows):
    path = write("a.tsv", "a cat\thttp://a\na dog\thttp://b\n")
    assert rows(path, "tsv", caption_col="caption", input_columns=("caption", "url")) == [
        {"caption": "a cat", "url": "http://a"},
        {"caption": "a dog", "url": "http://b"},
    ]


def test_other_delimiters_and_quotes(write, rows):
    path = write("a.csv", "url;c\nhttp://a;'x; ''y'''\n")
    assert rows(path, "csv", caption_col="c", input_delimiter=";", input_quote="'") == [
        {"caption": "x; 'y'", "url": "http://a"}
    ]


def test_a_delimiter_of_two_characters_is_refused(write, shards):
    with pytest.raises(InputError, match="delimiter"):
        shards(write("a.csv", "url\nhttp://a\n"), "csv", input_delimiter="||")


def test_a_wrong_delimiter_is_hinted_at(write, shards):
    with pytest.raises(InputError, match=r'no column "url".*url;c.*delimiter'):
        shards(write("a.csv", "url;c\nhttp://a;x\n"), "csv")


def test_boxes_that_cannot_be_read_are_not_passed_on_as_none(write, rows):
    path = write(
        "a.csv", 'url,b\nhttp://a,"[[0.1,0.2,0.3,0.4]]"\nhttp://b,garbage\nhttp://c,\nhttp://d,"[0.1,2]"\n'
    )
    assert [row[BBOX_COLUMN] for row in rows(path, "csv", bbox_col="b")] == [
        [[0.1, 0.2, 0.3, 0.4]],
        [[]],
        None,
        [[]],
    ]


texts = st.text(
    st.one_of(st.sampled_from("\",;\t\n\r 'ab"), st.characters(exclude_categories=("Cs", "Cc"))),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=50),
    st.integers(1, 7),
    st.sampled_from(",;\t"),
)
def test_any_text_comes_back_from_csv_as_it_was_written(values, rows_per_shard, delimiter):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(
            written(
                [("u", "c", "x"), *values], quoting=csv.QUOTE_ALL, lineterminator="\n", delimiter=delimiter
            ).encode()
        )
        reader = open_reader(
            InputOptions(
                url_list=path, input_format="csv", url_col="u", caption_col="c", input_delimiter=delimiter
            ),
            rows_per_shard,
        )
        found = pa.concat_tables([shard.rows for shard in reader.shards()])
    assert found.column("caption").to_pylist() == [caption for _, caption, _ in values]
    blank = pa.compute.utf8_trim_whitespace(pa.array([url for url, _, _ in values], pa.string())).to_pylist()
    assert found.column("url").to_pylist() == [
        url if trimmed else None for (url, _, _), trimmed in zip(values, blank, strict=True)
    ]


@pytest.mark.parametrize(
    ("row", "said"), [("http://a", "has 1 field, not 2"), ("a,b,c", "has 3 fields, not 2")]
)
def test_a_row_of_another_length_is_told_in_the_right_number(write, shards, caplog, row, said):
    shards(write("a.csv", f"url,caption\n{row}\n"), "csv", url_col="url", caption_col="caption")
    assert said in caplog.text

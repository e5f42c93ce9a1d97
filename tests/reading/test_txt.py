"""txt: one URL a line."""

import pytest

from img2dataset.errors import InputError


def urls(rows):
    return [row["url"] for row in rows]


def test_each_line_is_a_url_and_blank_lines_are_no_rows(write, rows):
    path = write("a.txt", "http://a/1\n\n   \nhttp://a/2\n\t\nhttp://a/3")
    assert urls(rows(path, "txt")) == ["http://a/1", "http://a/2", "http://a/3"]


def test_commas_and_quotes_are_plain_text(write, rows):
    path = write("a.txt", 'http://a/1,2\nhttp://a/"3\nhttp://a/4"\n')
    assert urls(rows(path, "txt")) == ["http://a/1,2", 'http://a/"3', 'http://a/4"']


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_and_a_byte_order_mark_are_tolerated(write, rows, line_end):
    path = write("a.txt", b"\xef\xbb\xbf" + line_end.join(["http://a/1", " http://a/2 ", ""]).encode())
    assert urls(rows(path, "txt")) == ["http://a/1", "http://a/2"]


def test_bytes_that_are_not_utf8_do_not_stop_the_run(write, rows):
    path = write("a.txt", b"http://a/1\nhttp://a/\xff\xfe.jpg\nhttp://a/3\n")
    assert urls(rows(path, "txt")) == ["http://a/1", "http://a/��.jpg", "http://a/3"]


def test_line_separators_of_unicode_do_not_end_a_line(write, rows):
    path = write("a.txt", "http://a/1\u2028x\u0085y\nhttp://a/2\n")
    assert urls(rows(path, "txt")) == ["http://a/1\u2028x\u0085y", "http://a/2"]


def test_lines_longer_than_a_block_and_across_blocks_stay_whole(write, rows):
    lines = [f"http://a/{'é' * 700_000}", "http://a/2", *(f"http://a/{i}" for i in range(200_000))]
    path = write("a.txt", "\n".join(lines))
    assert urls(rows(path, "txt")) == lines


def test_a_line_of_a_hundred_megabytes_is_a_clear_error(write, shards):
    path = write("a.txt", b"http://a/1\n" * 200_000 + b"x" * 100_000_000)
    with pytest.raises(InputError, match="line of more than 64 MiB"):
        shards(path, "txt")


def test_compressed_lines_are_read(write, rows):
    path = write("a.txt.gz", "http://a/1\nhttp://a/2\n")
    assert urls(rows(path, "txt.gz")) == ["http://a/1", "http://a/2"]


def test_the_url_column_of_a_txt_list_has_no_name_to_look_up(write, rows):
    assert urls(rows(write("a.txt", "http://a/1\n"), "txt", url_col="image")) == ["http://a/1"]


def test_a_caption_column_of_a_txt_list_is_warned_about(write, shards, caplog):
    [shard] = shards(write("a.txt", "http://a/1\n"), "txt", caption_col="text")
    assert shard.rows.column_names == ["url"]
    assert 'caption_col "text" has no effect' in caplog.text


def test_other_columns_of_a_txt_list_are_missing_columns(write, shards):
    with pytest.raises(InputError, match='no column "id"'):
        shards(write("a.txt", "http://a/1\n"), "txt", save_additional_columns=("id",))

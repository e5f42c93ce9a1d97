"""What the fuzzers found: each now ends in an answer or a documented failure, and passes no limit."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest

from img2dataset.fetching.http.response_head import AnswerPolicy, read_answer
from img2dataset.fetching.requests.outcomes import parse_retry_after
from img2dataset.fetching.urls import UrlRefused, to_uri
from img2dataset.imaging.consent import signals_in
from img2dataset.imaging.header import read_header
from tests.fuzzing import lists, pictures, seeds, words
from tests.imaging.odd_files import failure, png, png_chunk

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
FILES = sorted((Path(__file__).parent / "findings").iterdir())
SHORT, LONG = 3, 4
# Signed bytes, shorts and longs, which decoders take for a size too.
SIGNED = (6, 8, 9)


def tiff(sizes: list[tuple[int, int, int]], width: int = 100, height: int = 100) -> bytes:
    """A grey TIFF of this width and height, whose directory gives its size as (tag, type, value) each."""
    rest = [
        (258, SHORT, 8),
        (259, SHORT, 1),
        (262, SHORT, 1),
        (273, LONG, 0),
        (277, SHORT, 1),
        (278, LONG, height),
        (279, LONG, width * height),
    ]
    tags = [*sizes, *rest]
    data_at = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, data_at if tag == 273 else value) for tag, kind, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(width * height)


@pytest.mark.parametrize("body", list(seeds.pictures()))
def test_what_the_fuzzers_begin_with_keeps_every_promise(body: bytes) -> None:
    pictures.check_header(body)
    pictures.check_decoding(body)


@pytest.mark.parametrize("body", [*seeds.pictures(), *seeds.consent()])
def test_and_say_what_they_say_of_training(body: bytes) -> None:
    pictures.check_consent(body)


@pytest.mark.parametrize("body", list(seeds.consent()))
def test_each_that_says_something_of_training_is_understood(body: bytes) -> None:
    assert signals_in(body)


@pytest.mark.parametrize(
    ("check", "inputs"),
    [
        (pictures.check_exif, list(seeds.exif_blocks())),
        (words.check_robots_tag, seeds.ROBOTS_TAGS),
        (words.check_robots_txt, seeds.ROBOTS_FILES),
        (words.check_retry_after, seeds.DELAYS),
        (words.check_url, seeds.URLS),
        (words.check_answer, seeds.ANSWERS),
        (lists.check_txt, seeds.TXT_LISTS),
        (lists.check_csv, seeds.CSV_LISTS),
        (lists.check_jsonl, seeds.JSONL_LISTS),
    ],
)
def test_so_do_the_words_and_lists_that_they_begin_with(check, inputs) -> None:
    for each in inputs:
        check(each)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_progressive_jpegs_whose_scans_contradict_each_other_end_in_an_image_or_a_failure(path: Path) -> None:
    pictures.check_decoding(path.read_bytes())


@pytest.mark.parametrize("kind", SIGNED)
def test_a_tiff_whose_size_is_of_an_odd_type_does_not_pass_the_limit_on_pixels(kind: int) -> None:
    body = tiff([(256, kind, 100), (257, kind, 100)])
    header = read_header(body)
    assert (header.width, header.height) == (100, 100)
    assert failure(body, max_decoded_pixels=9_999) == "too large: pixels"


def test_of_a_size_that_is_given_twice_the_first_counts_as_it_does_for_decoders() -> None:
    body = tiff([(256, LONG, 100), (256, LONG, 1), (257, LONG, 100)])
    assert read_header(body).width == 100
    assert failure(body, max_decoded_pixels=9_999) == "too large: pixels"


def test_an_orientation_without_a_value_turns_nothing() -> None:
    body = tiff([(256, LONG, 100), (257, LONG, 50), (274, SHORT, 6)], height=50)
    without = body.replace(struct.pack("<HHI", 274, SHORT, 1), struct.pack("<HHI", 274, SHORT, 0))
    assert (read_header(body).width, read_header(without).width) == (50, 100)
    pictures.check_header(without)


def test_a_size_that_is_no_integer_is_corrupt() -> None:
    assert failure(tiff([(256, 11, 100), (257, LONG, 100)])) == "decode: corrupt"


def test_a_box_of_2_to_the_64_bytes_is_truncated() -> None:
    assert failure(base64.b64decode("AAAADGpQICANCocKAAAAAQAUcNWV/++1ud22RgABOgEA")) == "decode: truncated"


def test_a_png_of_depth_0_is_corrupt() -> None:
    body = png([b"\0"] * 4, 4, 0, 0, extra=png_chunk(b"tRNS", b"\0\0"))
    assert failure(body) == "decode: corrupt"


def test_a_year_of_twenty_digits_is_no_delay() -> None:
    assert parse_retry_after("Oct 2 07:0 23333333333333333333", 0.0) is None


def test_brackets_without_a_colon_are_no_host() -> None:
    with pytest.raises(UrlRefused, match="invalid url: host"):
        to_uri("http://[28]:80/a.jpg")


def test_a_status_of_many_digits_is_none() -> None:
    policy = AnswerPolicy(max_body_bytes=1000)
    answer = read_answer(b"HTTP/1.1 " + b"2" * 40 + b" OK\n\n", policy)
    assert answer is not None
    assert answer.failure == "HTTP 0"

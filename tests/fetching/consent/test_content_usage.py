"""Content-Usage and tdm-reservation: headers that speak of training, read as their drafts say."""

from __future__ import annotations

import pytest

from img2dataset.fetching.consent.content_usage import says
from img2dataset.fetching.consent.structured_fields import tokens_of
from tests.fetching.download_all import failure_of
from tests.servers import ImageServer

REFUSED = "opt-out: Content-Usage"
RESERVED = "opt-out: TDM reservation"


@pytest.mark.parametrize(
    ("line", "members"),
    [
        ("train-ai=n", [("train-ai", "n")]),
        ("search=y, train-ai=n", [("search", "y"), ("train-ai", "n")]),
        ("search=y\t,\ttrain-ai=n", [("search", "y"), ("train-ai", "n")]),
        ('a="x, train-ai=n", b=n', [("a", None), ("b", "n")]),
        (r'a="\"\\", b=n', [("a", None), ("b", "n")]),
        ("a=1, b=-2.5, c=?0, d=:aGk=:, e=@16, f=n", [(key, None) for key in "abcde"] + [("f", "n")]),
        ('a=("x" y;p=1  2);q, b=n', [("a", None), ("b", "n")]),
        ("a=(), b", [("a", None), ("b", None)]),
        ("train-ai=n;why=because;x", [("train-ai", "n")]),
        ("train-ai=n, train-ai=y", [("train-ai", "n"), ("train-ai", "y")]),
        ('a=%"f%c3%bc", *b=*', [("a", None), ("*b", "*")]),
        ("", []),
        ("train-ai=n,", None),
        (",train-ai=n", None),
        ("train-ai=n train-ai=y", None),
        ("train-ai= n", None),
        ("Train-AI=n", None),
        ("train-ai=", None),
        ('a="open, train-ai=n', None),
        ("a=(1 2, train-ai=n", None),
        ("a=(1(2)), train-ai=n", None),
        ("a=1234567890123456, train-ai=n", None),
        ("a=1.2345, train-ai=n", None),
        ("a=ü, train-ai=n", None),
        ("train-ai=n;", None),
        ("train-ai: n", None),
    ],
)
def test_a_dictionary_is_read_as_rfc_9651_says(
    line: str, members: list[tuple[str, str | None]] | None
) -> None:
    assert tokens_of(line) == members


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train-ai=n", "no"),
        ("train-ai=y", "yes"),
        ("train-ai=y, train-ai=n", "no"),
        ("train-ai=n, train-ai=y", "no"),
        ("train-ai=maybe", "unknown"),
        ("train-ai", "unknown"),
        ("train-ai=?0", "unknown"),
        ('train-ai="n"', "unknown"),
        ("train-ai=N", "unknown"),
        ("search=n", "unknown"),
        ("train-ai-too=n", "unknown"),
        ("", "unknown"),
    ],
)
def test_only_the_token_n_refuses_training(line: str, meant: str) -> None:
    assert says(line) == meant


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["train-ai=n"], REFUSED),
        (["search=y, train-ai=n;x"], REFUSED),
        (["train-ai=y", "train-ai=n"], REFUSED),
        (["train-ai=n", "train-ai=y"], REFUSED),
        (["no dictionary,", "train-ai=n"], REFUSED),
        (["train-ai=y"], None),
        (["search=n"], None),
        (["train-ai=n,"], None),
        (["train-ai=perhaps"], None),
        ([""], None),
        ([], None),
    ],
)
def test_an_answer_that_refuses_training_is_left_out(
    image_server: ImageServer, lines: list[str], failure: str | None
) -> None:
    url = image_server.put("/usage.jpg", b"picture", headers=[("Content-Usage", line) for line in lines])
    assert failure_of(url) == failure
    assert failure_of(url, consent="strict") == failure
    assert failure_of(url, consent="off") is None


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["1"], RESERVED),
        ([" 1 "], RESERVED),
        (["0", "1"], RESERVED),
        (["1", "0"], RESERVED),
        (["0, 1"], RESERVED),
        (["0"], None),
        (["01"], None),
        (["1.0"], None),
        (["true"], None),
        (["1;x"], None),
        ([""], None),
    ],
)
def test_a_reservation_is_1_and_the_most_restrictive_of_several_counts(
    image_server: ImageServer, lines: list[str], failure: str | None
) -> None:
    url = image_server.put("/tdm.jpg", b"picture", headers=[("TDM-Reservation", line) for line in lines])
    assert failure_of(url, respect_tdm=True) == failure
    assert failure_of(url) is None


def test_of_several_signals_one_that_refuses_is_enough(image_server: ImageServer) -> None:
    headers = [("Content-Usage", "train-ai=y"), ("tdm-reservation", "1"), ("X-Robots-Tag", "all")]
    url = image_server.put("/several.jpg", b"picture", headers=headers)
    assert failure_of(url, respect_tdm=True) == RESERVED
    url = image_server.put("/several.jpg", b"picture", headers=[*headers, ("X-Robots-Tag", "noai")])
    assert failure_of(url, respect_tdm=True) == "opt-out: X-Robots-Tag"

"""The table of failures: one line each, read by whatever must know something of a failure."""

from __future__ import annotations

import json
import pickle
import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from img2dataset import failures
from img2dataset.failures import KINDS, PASSING, Failure, OfNetwork, is_retried, of_status, of_text
from img2dataset.options.specs import option_specs

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = re.compile(r"[A-Za-z0-9][\w ,./-]*(: [\w ,./-]+)*:? ?")


def test_every_line_has_a_text_of_its_own() -> None:
    texts = [kind.text for kind in KINDS if kind.text != "HTTP "]
    assert len(set(texts)) == len(texts)
    assert all(TEXT.fullmatch(text.rstrip(":")) for text in texts)


def test_what_may_pass_at_once_may_pass_later() -> None:
    assert [kind.text for kind in KINDS if kind.again and not kind.later] == []
    assert [kind.text for kind in KINDS if kind.network is not OfNetwork.NOTHING and not kind.again] == []


def test_retry_failed_takes_by_default_what_the_table_says() -> None:
    for kind in KINDS:
        status = {"HTTP ": ["404"]}.get(kind.text, [""]) if not kind.again else [""]
        if kind.text == "HTTP ":
            status = (
                ["408", "425", "429", "500", "503", "599"] if kind.again else ["400", "403", "404", "410"]
            )
        for detail in status:
            assert is_retried(Failure(kind, detail), PASSING) == kind.later, kind.text + detail


@pytest.mark.parametrize("status", [400, 404, 408, 418, 425, 429, 499, 500, 503, 599, 600, 999])
def test_a_status_can_pass_or_not(status: int) -> None:
    assert of_status(status) == f"HTTP {status}"
    assert of_status(status).kind.again == (status in (408, 425, 429) or 500 <= status <= 599)


@pytest.mark.parametrize(
    "text",
    [
        *(kind.text for kind in KINDS if not kind.text.endswith((" ", ":"))),
        *("HTTP 404", "HTTP 503", "scheme: file not allowed", "address: private", "encode: jpg failed"),
        *("decode: unsupported format: psd", "invalid row: title: not valid UTF-8"),
    ],
)
def test_a_failure_survives_every_way_it_goes(text: str) -> None:
    failure = of_text(text)
    for copy in (failure, pickle.loads(pickle.dumps(failure)), of_text(json.loads(json.dumps(failure)))):
        assert (copy, copy.kind, copy.detail) == (text, failure.kind, failure.detail)
    assert pa.array([failure]).to_pylist() == [text]


def test_a_text_of_somebody_else_is_no_failure_of_ours() -> None:
    for text in (
        "",
        "HTTP Error 404: Not Found",
        "HTTP x",
        "HTTP \u00b2",
        "HTTP " + "4" * 5000,
        "timeout: connected",
        "timed out",
    ):
        with pytest.raises(KeyError):
            of_text(text)


def test_what_1_47_0_wrote_is_retried_where_it_can_pass() -> None:
    passing = (
        "HTTP Error 503: Busy",
        "<urlopen error timed out>",
        "timed out",
        "IncompleteRead(3 bytes read)",
    )
    final = ("HTTP Error 404: Not Found", "Image decoding error", None)
    assert all(is_retried(message, PASSING) for message in passing)
    assert not any(is_retried(message, PASSING) for message in final)


def test_advice_names_options_that_exist() -> None:
    advice = " ".join(kind.advice for kind in KINDS)
    named = set(re.findall(r"--(\w+)", advice))
    assert named
    assert named <= set(option_specs())


def test_the_documentation_has_the_table() -> None:
    assert failures.table() in (REPOSITORY / "docs" / "failures.md").read_text()


def test_no_file_of_the_package_writes_a_failure_of_its_own() -> None:
    classes = "|".join(kind.failure_class for kind in KINDS)
    own = re.compile(rf'"({classes}): [a-z]')
    found = [
        f"{path.name}: {line.strip()}"
        for path in (REPOSITORY / "img2dataset").rglob("*.py")
        if path.name != "failures.py"
        for line in path.read_text().splitlines()
        if own.search(line)
    ]
    assert found == []


def test_only_prices_are_summed_whatever_stands_in_a_folder_of_somebody_else() -> None:
    odd = ("HTTP 402: ", "HTTP 402: USD", "HTTP 402: USD NaN", "HTTP 402: USD 1e9", "HTTP 402: \x1b[31m 5")
    messages = {"HTTP 402: USD 0.01": 3, "HTTP 402": 4, **dict.fromkeys(odd, 5)}
    assert failures.prices_in(messages) == {"USD": (3, Decimal("0.03"))}

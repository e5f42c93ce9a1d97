"""What people are shown of a list's or folder's name: no secret, and paths as they are."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from img2dataset.errors import OutputError
from img2dataset.printable import PrintableFormatter
from img2dataset.reporting.report.writing import page_path
from img2dataset.reporting.summary import RunSummary
from img2dataset.shown_names import shown_name, without_secrets
from img2dataset.storage.locations import locate


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:PW@host/a.csv", "https://host/a.csv"),
        ("https://TOKEN@host/a.csv", "https://host/a.csv"),
        ("https://user:p@w@host/a.csv", "https://host/a.csv"),
        ("https://user:p/w@host/x", "https://host/x"),
        ("ftp://user:p/w/@host:21/x", "ftp://host:21/x"),
        ("https://user:p?w@host/x", "https://host/x"),
        ("https://user:p#w@host/x", "https://host/x"),
        ("https://h?sig=SECRET", "https://h"),
        ("https://h/a?sig=SECRET@x/y", "https://h/a"),
        ("https://h?mail=a@b:SECRET/y", "https://h"),
        ("https://h/a#SECRET", "https://h/a"),
        ("https://h#SECRET", "https://h"),
        ("https://h/a;token=SECRET", "https://h/a"),
        ("zip://x.csv::https://user:PW@host/a.zip", "zip://x.csv::https://host/a.zip"),
        (
            "zip://x@y.csv::simplecache::https://u:p@[::1]:80/a?s=S",
            "zip://x@y.csv::simplecache::https://[::1]:80/a",
        ),
        ("s3://key:SECRET@bucket/a", "s3://bucket/a"),
        ("abfs://user:PW@account/a", "abfs://account/a"),
    ],
)
def test_no_secret_is_shown(given: str, shown: str) -> None:
    assert shown_name(given) == shown


@pytest.mark.parametrize(
    "name",
    [
        "list.txt",
        "/data/me@home/a::b#1?;v=2",
        "file:///data/me:2@home/list_?.txt",
        "zip://a:b/c@d.csv::/data/me@home/a.zip",
        "https://host/@user/a@b.csv",
        "https://host:8080/a@b.csv",
        "http://[::1]:8000/a@b.csv",
        "http://[::1]/a;b.csv",
        "s3://bucket/a@b/c:d.csv",
        "abfs://container@account.dfs.core.windows.net/a",
        "hf://datasets/user/name@main/a.csv",
        "github://owner:repository@main/a.csv",
        "memory://a@b",
    ],
)
def test_what_has_no_secret_is_shown_as_it_is(name: str) -> None:
    assert shown_name(name) == name


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("OUTPUT 's3://key:SECRET@bucket/a': no", "OUTPUT 's3://bucket/a': no"),
        ("https://user:p/w@host/x cannot be read", "https://host/x cannot be read"),
        ("GET https://h/a?X-Amz-Signature=SECRET failed", "GET https://h/a failed"),
        ("zip://x.csv::https://u:SECRET@h/a.zip is gone", "zip://x.csv::https://h/a.zip is gone"),
        ("https://host/a.csv?page=2 and me@home: none", "https://host/a.csv?page=2 and me@home: none"),
    ],
)
def test_a_line_has_no_secret_in_its_addresses(line: str, shown: str) -> None:
    assert without_secrets(line) == shown
    assert str(OutputError(line)) == shown
    record = logging.LogRecord("other", logging.WARNING, "", 0, "%s", (line,), None)
    assert PrintableFormatter("%(message)s").format(record) == shown


def test_the_password_of_an_output_folder_is_in_no_error_and_in_no_line_of_the_end() -> None:
    name = "nothing://me:SECRET@host/out"
    with pytest.raises(OutputError, match="no file system is known for nothing://") as refused:
        locate(name, "output_folder", OutputError)
    assert "SECRET" not in str(refused.value)
    page = page_path(dataclasses.replace(locate("out", "OUTPUT", OutputError), name=name), "report.html")
    assert page == "nothing://host/out/report.html"
    assert RunSummary(name, report_page=page).lines()[-2:] == [
        "output: nothing://host/out",
        f"report: {page}",
    ]

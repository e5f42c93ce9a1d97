"""The times in listings of S3 are read as botocore reads them, and quickly; folders are listed once."""

from __future__ import annotations

from typing import Any

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.folders import names_in
from img2dataset.storage.listed_times import read_times_quickly, time_of
from img2dataset.storage.locations import locate


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T01:02:03.000Z",
        "2026-11-29T01:02:03.456Z",
        "2026-11-29T01:02:03Z",
        "2026-11-29T01:02:03+02:00",
        "Sun, 29 Nov 2026 01:02:03 GMT",
        "20261129T010203Z",
        1790000000,
        1790000000.5,
        "1790000000",
    ],
)
def test_times_are_those_that_botocore_reads(text: Any) -> None:
    parse_timestamp = pytest.importorskip("botocore.utils").parse_timestamp
    assert time_of(text) == parse_timestamp(text)
    assert time_of(text).utcoffset() == parse_timestamp(text).utcoffset()


def test_what_is_no_time_is_refused_as_by_botocore() -> None:
    pytest.importorskip("botocore")
    with pytest.raises(ValueError, match="Invalid timestamp"):
        time_of("yesterdayZ")


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": s3_server,
        "client_kwargs": {"region_name": "eu-west-1"},
        "skip_instance_cache": True,
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    fsspec.filesystem("s3").mkdir("listed-times")
    return "s3://listed-times/out"


def test_a_listing_of_a_bucket_asks_dateutil_for_no_time(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = locate(bucket, "output_folder", OutputError)
    for number in range(3):
        location.file_system.pipe_file(f"{location.path}/{number:05d}_stats.json", b"{}")
    [before, *_] = location.file_system.ls(location.path, detail=True, refresh=True)
    names_in(location, location.path)  # its first question, whether there is the folder, comes before
    asked: list[Any] = []
    utils = pytest.importorskip("botocore.utils")
    monkeypatch.setattr(utils.dateutil.parser, "parse", lambda text, **options: asked.append(text))
    assert names_in(location, location.path) == [f"{number:05d}_stats.json" for number in range(3)]
    [after, *_] = location.file_system.ls(location.path, detail=True, refresh=True)
    assert after["LastModified"] == before["LastModified"]
    assert asked == []


def test_file_systems_that_are_not_s3_are_left_alone() -> None:
    read_times_quickly(fsspec.filesystem("memory"))
    read_times_quickly(fsspec.filesystem("file"))

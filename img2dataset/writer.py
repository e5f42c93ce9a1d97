"""The names of 1.47.0's sample writers: what ``Downloader`` is told to write with.

They only name an output format; the program's own writers are in ``img2dataset.formats``.
"""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "DummySampleWriter",
    "FilesSampleWriter",
    "ParquetSampleWriter",
    "TFRecordSampleWriter",
    "WebDatasetSampleWriter",
]


class _SampleWriter:
    output_format: str

    def __init__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} names a format for Downloader and cannot be used alone")


class FilesSampleWriter(_SampleWriter):
    """``output_format`` files."""

    output_format = "files"


class WebDatasetSampleWriter(_SampleWriter):
    """``output_format`` webdataset."""

    output_format = "webdataset"


class ParquetSampleWriter(_SampleWriter):
    """``output_format`` parquet."""

    output_format = "parquet"


class TFRecordSampleWriter(_SampleWriter):
    """``output_format`` tfrecord."""

    output_format = "tfrecord"


class DummySampleWriter(_SampleWriter):
    """``output_format`` dummy."""

    output_format = "dummy"

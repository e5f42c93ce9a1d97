"""What a writer of one output format is, and the choice between them.

A ``SampleWriter`` lives as long as its shard is open. It writes successful samples into files of the
shard's temporary folder, under their final names; moving them is no concern of its. Called by
``ShardWriter``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from img2dataset.types import Sample
from img2dataset.writing.finished_shard import FinishedShard, KeptSample
from img2dataset.writing.metadata import ShardMetadata
from img2dataset.writing.settings import WriteSettings

if TYPE_CHECKING:
    import pyarrow as pa


class SampleWriter(Protocol):
    """Writes the samples of one shard in one format."""

    @property
    def output_name(self) -> str | None:
        """The file or folder it makes, None for nothing."""

    @property
    def holds_metadata(self) -> bool:
        """Whether the metadata of all rows needs no file of its own beside this format."""

    row_failures: dict[int, str]
    """Why a row cannot be written in this format, whatever its image, for each such row."""

    def write(self, sample: Sample) -> None:
        """Write one successful sample, in any order.

        Raises:
            OSError: the disk is full, or the like; the shard is lost.
        """

    def keep(self, finished: FinishedShard, samples: Mapping[str, KeptSample]) -> None:
        """Take these samples over from a finished shard, by key, bit for bit and without decoding them.

        Raises:
            ValueError: the shard's data are not whole, or lack one of them; the message says what.
            OSError: the disk is full, or the like.
        """

    def finish(self, metadata: pa.Table) -> None:
        """Complete and close the output; ``metadata`` is the table of all rows."""

    def abandon(self) -> None:
        """Close whatever is open, of a shard that will not be; never raises."""


class DummyWriter:
    """Writes nothing: for measuring everything else."""

    output_name = None
    holds_metadata = True

    def __init__(self) -> None:
        self.row_failures: dict[int, str] = {}

    def write(self, sample: Sample) -> None:
        pass

    def keep(self, finished: FinishedShard, samples: Mapping[str, KeptSample]) -> None:
        pass

    def finish(self, metadata: pa.Table) -> None:
        pass

    def abandon(self) -> None:
        pass


def open_sample_writer(
    settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
) -> SampleWriter:
    """Begin a shard in the format asked for.

    Args:
        settings: names the format.
        folder: the shard's temporary folder; exists and is empty.
        shard: the shard's name.
        metadata: of the shard; its input columns are read now, its computed ones sample by sample.

    Raises:
        MissingDependency: the format needs a package that is not installed.
        OSError: its file cannot be made.
    """
    if settings.output_format == "webdataset":
        from img2dataset.writing.webdataset_format import WebdatasetWriter

        return WebdatasetWriter(settings, folder, shard, metadata)
    if settings.output_format == "files":
        from img2dataset.writing.files_format import FilesWriter

        return FilesWriter(settings, folder, shard, metadata)
    if settings.output_format == "parquet":
        from img2dataset.writing.parquet_format import ParquetImageWriter

        return ParquetImageWriter(settings, folder, shard, metadata)
    if settings.output_format == "tfrecord":
        from img2dataset.writing.tfrecord_format import TfrecordWriter

        return TfrecordWriter(settings, folder, shard, metadata)
    return DummyWriter()

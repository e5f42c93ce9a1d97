"""No data at all: for measuring everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from img2dataset.formats.findings import BrokenFile, Findings
from img2dataset.formats.format import (
    DataSource,
    FinishedData,
    KeptSample,
    OutputFormat,
    SampleWriter,
    StoredImages,
    StoredSample,
)
from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.metadata import ShardMetadata
    from img2dataset.formats.settings import WriteSettings


class Format(OutputFormat):
    """Statistics alone: no metadata either."""

    name = "dummy"
    ending = None
    holds_metadata = True

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return DummyWriter()

    def samples(
        self,
        source: DataSource,
        name: str,
        *,
        columns: Sequence[str],
        with_images: bool,
        findings: Findings,
    ) -> Iterator[StoredSample]:
        return iter(())

    def images(self, path: str) -> StoredImages:
        raise BrokenFile("is of format dummy, which keeps no images")


class DummyWriter:
    """Writes nothing."""

    def __init__(self) -> None:
        self.row_failures: dict[int, str] = {}

    def write(self, sample: Sample) -> None:
        pass

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        pass

    def finish(self, metadata: pa.Table) -> None:
        pass

    def abandon(self) -> None:
        pass

"""The check of one shard, whatever its format.

In: the names of its files. Out: a ``ShardCheck``. Called in the checking processes, or in the caller's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from img2dataset.counted import counted
from img2dataset.errors import Img2datasetError, one_line
from img2dataset.formats import OutputFormat, output_format
from img2dataset.formats.dataset import METADATA_ENDING, STATISTICS_ENDING, key_digits
from img2dataset.formats.findings import BrokenFile, Findings, UnreadableShard
from img2dataset.formats.shard_files import ShardFiles
from img2dataset.formats.tables import image_column, read_table
from img2dataset.storage.locations import Location
from img2dataset.verifying.expectation import ShardExpectation
from img2dataset.verifying.images import ImageCheck
from img2dataset.verifying.images_in_table import check_images_in_table
from img2dataset.verifying.inventory import FoundShard
from img2dataset.verifying.metadata import ShardRows
from img2dataset.verifying.report import ShardCheck
from img2dataset.verifying.samples import SampleComparison
from img2dataset.verifying.statistics import Statistics, compare_with_rows, read_statistics


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What every check is told: where, and whether images are looked at."""

    location: Location
    images: bool


@dataclass(frozen=True, slots=True)
class ShardToCheck:
    """A finished shard, what its record says, and the format that it is checked as (None: look)."""

    found: FoundShard
    expectation: ShardExpectation
    output_format: str | None


def check_shard(settings: CheckSettings, shard: ShardToCheck) -> ShardCheck:
    """Read every file of one shard.

    Raises:
        MissingDependency: a package that its format needs is not installed.
    """
    return _Check(settings, shard).run()


class _Check:
    """One shard while it is being checked."""

    def __init__(self, settings: CheckSettings, shard: ShardToCheck) -> None:
        self._found = shard.found
        self._expectation = shard.expectation
        self._format = output_format(shard.output_format) if shard.output_format is not None else None
        self._files = ShardFiles(settings.location)
        self._findings = Findings()
        self._rows = ShardRows(shard.found.name, self._findings)
        self._images: ImageCheck | None = None
        if settings.images:
            self._images = ImageCheck(shard.expectation.originals, self._findings)

    def run(self) -> ShardCheck:
        statistics, unreadable = None, None
        try:
            statistics = self._check_statistics()
            if self._format is None or self._format.keeps_metadata:
                self._check_contents(statistics)
        except Img2datasetError:
            raise
        except UnreadableShard as error:
            unreadable = str(error)
        except (OSError, MemoryError) as error:
            # Of the disk or the machine: what is wrong with contents is a BrokenFile.
            unreadable = f"cannot be read: {one_line(error)}"
        successes = self._rows.statuses["success"] if self._rows.count else 0
        if statistics is not None and not self._rows.count:
            successes = statistics.successes
        return ShardCheck(
            shard_id=self._found.shard_id,
            name=self._found.name,
            rows=self._rows.count or (statistics.count if statistics else 0),
            successes=successes,
            images=self._images.count if self._images else 0,
            key_digits=self._rows.key_digits,
            reasons=self._findings.lines(),
            unreadable=unreadable,
        )

    def _check_statistics(self) -> Statistics | None:
        name = self._found.name + STATISTICS_ENDING
        if not self._is_file(STATISTICS_ENDING):
            return None
        statistics = read_statistics(self._files.read(name), name, self._findings)
        expected = self._expectation.rows
        if statistics is not None and expected is not None and statistics.count != expected:
            self._findings.add(
                f"the statistics count {counted(statistics.count, 'row')}, the list has {expected:,}"
            )
        return statistics

    def _check_contents(self, statistics: Statistics | None) -> None:
        has_rows = self._broken_is_found(METADATA_ENDING, self._read_rows)
        if has_rows:
            self._check_key_digits()
            if statistics is not None:
                compare_with_rows(statistics, self._rows.statuses, self._rows.messages, self._findings)
        data = self._format
        if data is None or data.ending is None or data.holds_metadata or not has_rows:
            return
        if data.is_folder and data.ending not in self._found.endings and not self._rows.place_of:
            return  # an object store keeps no empty folder
        self._broken_is_found(data.ending, self._check_data)

    def _check_key_digits(self) -> None:
        rows_per_shard = self._expectation.rows_per_shard
        if rows_per_shard is not None and self._rows.key_digits is not None:
            digits = key_digits(rows_per_shard)
            if self._rows.key_digits != digits:
                self._findings.add(
                    f"keys of {counted(self._rows.key_digits, 'digit')} after the shard's, not {digits}"
                )

    def _broken_is_found(self, ending: str, read: Callable[[str], bool]) -> bool:
        """Read a file that must be there; whether it could be."""
        name = self._found.name + ending
        if ending not in self._found.endings:
            self._findings.add(f"{name or self._found.name} is missing")
            return False
        if (ending in self._found.folders) != (ending == ""):
            self._findings.add(f"{name} is a {'file' if ending == '' else 'folder'}")
            return False
        try:
            return read(name)
        except BrokenFile as error:
            self._findings.add(f"{name} {error}")
            return False

    def _is_file(self, ending: str) -> bool:
        if ending in self._found.folders:
            self._findings.add(f"{self._found.name}{ending} is a folder")
            return False
        return True

    def _read_rows(self, name: str) -> bool:
        with self._files.local_file(name) as path:
            if self._format is None:
                self._format = _format_of_table(path)
            if self._format.holds_metadata:
                check_images_in_table(
                    path,
                    self._format,
                    self._rows,
                    self._expectation.encode_format,
                    self._images,
                    self._findings,
                )
                return bool(self._rows.columns)
            for number, batch in enumerate(read_table(path)):
                if number == 0 and not self._rows.begin(batch.schema):
                    return False
                self._rows.add(batch)
            self._rows.finish()
            return True

    def _check_data(self, name: str) -> bool:
        assert self._format is not None
        comparison = SampleComparison(
            self._rows,
            name,
            self._images,
            self._findings,
            has_short_floats=self._format.repeats_short_floats,
        )
        for sample in self._format.samples(
            self._files,
            name,
            columns=self._rows.columns,
            with_images=comparison.wants_images,
            findings=self._findings,
        ):
            comparison.add(sample)
        comparison.finish()
        return True


def _format_of_table(path: str) -> OutputFormat:
    """The format of a shard that is a single table: without a column of images, ``files``."""
    schema = next(read_table(path)).schema
    return output_format("files" if image_column(schema) is None else "parquet")

"""An output folder opened to be looked at: what its names and its record say, and rows of its metadata.

In: any fsspec path. Out: a ``Dataset``, whose shards are those that are done. Of 1.47.0's folders and of
folders that a run is writing to as well. Called by the other files of this room.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from img2dataset.errors import Img2datasetError, OutputError, one_line
from img2dataset.formats import OutputFormat, output_format
from img2dataset.formats.dataset import METADATA_ENDING, metadata_name
from img2dataset.formats.findings import BrokenFile, UnreadableShard
from img2dataset.formats.forward_files import open_to_seek
from img2dataset.formats.tables import image_column
from img2dataset.manifest import MANIFEST_NAME, Manifest, RunRecord
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.notes import read_note
from img2dataset.verifying.expectation import FolderRecord
from img2dataset.verifying.inventory import FoundShard, Inventory, format_of, take_inventory

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Rows of metadata held at once.
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Dataset:
    """An output folder.

    ``runs`` are those that its record tells of, the latest last; none in a folder of 1.47.0.
    ``common_format`` is what most of its shards are of; None where names do not tell.
    """

    location: Location
    inventory: Inventory
    runs: list[RunRecord]
    record: FolderRecord
    common_format: str | None

    @property
    def name(self) -> str:
        """The folder as it was given."""
        return self.location.name

    @property
    def shards(self) -> list[FoundShard]:
        """The shards that are done, by number."""
        return self.inventory.finished

    def format_of(self, shard: FoundShard) -> OutputFormat:
        """The format of a shard's data.

        Raises:
            OptionError: it is of a package that is not installed.
            OutputError: its metadata cannot be read, which alone would tell.
        """
        name = self.record.of(shard.shard_id).output_format or self.common_format
        if name is None:
            name = "files" if image_column(self.schema(shard)) is None else "parquet"
        return output_format(name)

    def has_metadata(self, shard: FoundShard) -> bool:
        """Whether anything is kept of its rows; not with the format ``dummy``."""
        return METADATA_ENDING in shard.endings

    def schema(self, shard: FoundShard) -> pa.Schema:
        """The columns of a shard's table, images included.

        Raises:
            OutputError: it cannot be read.
        """
        with self._table(shard) as table:
            return table.schema_arrow

    def row_numbers(self, shard: FoundShard, column: str, value: str) -> list[int]:
        """The numbers of the rows, from 0, that have this value in a column; none without that column.

        Raises:
            OutputError: as ``schema``.
        """
        found: list[int] = []
        with self._table(shard) as table:
            if column not in table.schema_arrow.names:
                return found
            first = 0
            for batch in table.iter_batches(columns=[column]):
                values = batch.column(0).to_pylist()
                found += [first + number for number, here in enumerate(values) if here == value]
                first += len(values)
        return found

    def row_count(self, shard: FoundShard) -> int:
        """How many rows a shard's table has.

        Raises:
            OutputError: as ``schema``.
        """
        with self._table(shard) as table:
            return int(table.metadata.num_rows)

    def rows_at(self, shard: FoundShard, numbers: Collection[int]) -> list[dict[str, Any]]:
        """These rows of a shard's metadata, without their images, in its order.

        Raises:
            OutputError: as ``schema``.
        """
        wanted = sorted(numbers)
        rows: list[dict[str, Any]] = []
        with self._table(shard) as table:
            images = image_column(table.schema_arrow)
            columns = [name for name in table.schema_arrow.names if name != images]
            first = 0
            for batch in table.iter_batches(_BATCH_ROWS, columns=columns):
                here = [number - first for number in wanted if first <= number < first + batch.num_rows]
                rows += batch.take(here).to_pylist() if here else []
                first += batch.num_rows
                if wanted and first > wanted[-1]:
                    break
        return rows

    @contextlib.contextmanager
    def _table(self, shard: FoundShard) -> Iterator[pq.ParquetFile]:
        import pyarrow.parquet as pq

        name = metadata_name(shard.name)
        with (
            self.reading(name),
            open_to_seek(self.location.file_system, self.path_of(name)) as file,
            pq.ParquetFile(file) as table,
        ):
            yield table

    def path_of(self, name: str) -> str:
        """The path of a file of the folder on its file system."""
        return f"{self.location.path}/{name}"

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Tell of whatever is wrong with a file that is read meanwhile in one line.

        Raises:
            OutputError: it is broken, or cannot be read.
        """
        try:
            yield
        except Img2datasetError:
            raise
        except (BrokenFile, UnreadableShard) as error:
            raise OutputError(f"{name} of {self.name!r} {error}") from error
        except Exception as error:  # every file system has its own errors, and Arrow has
            raise OutputError(f"{name} of {self.name!r} cannot be read: {one_line(error)}") from error


def open_dataset(path: str) -> Dataset:
    """An output folder, listed once; of its files only the record is read.

    Args:
        path: of the output folder, on any fsspec file system.

    Raises:
        OutputError: there is no such folder, it holds nothing of a dataset, or it cannot be read.
        MissingDependency: its file system's package is not installed.
    """
    location = locate(path, "OUTPUT", OutputError)
    runs = _runs(location)
    record = FolderRecord(runs)
    names = {run.options.get("output_format") for run in runs}
    inventory = take_inventory(location, [name for name in names if isinstance(name, str)])
    if not any(inventory.shards()) and not inventory.kept and not runs:
        raise OutputError(f"{path!r} holds no shards of a dataset; name the output folder of a run")
    return Dataset(location, inventory, runs, record, format_of(inventory) if inventory.finished else None)


def _runs(location: Location) -> list[RunRecord]:
    """Those of the record; none where there is none that this version understands."""
    try:
        text = read_note(location, MANIFEST_NAME)
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"{location.name!r} cannot be read: {one_line(error)}") from error
    if text is None:
        return []
    try:
        return Manifest.from_text(text).runs
    except ValueError:
        return []

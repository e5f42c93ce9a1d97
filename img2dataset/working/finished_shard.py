"""A shard that is done, read again, for a run that retries its failed rows.

In: the output folder and a shard's number. Out: its statistics, the metadata of its rows in their order, and
its data file where a writer can read it. Called by the worker (``open_finished_shard``) and by the writers,
which copy its samples.

The metadata is the truth about a finished shard: data of a sample that it does not call a success is as good
as not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from img2dataset.counted import counted
from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import (
    key_digits,
    metadata_name,
    shard_name,
    statistics_name,
)
from img2dataset.formats.metadata import column_type
from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.locations import Location
from img2dataset.storage.retries import may_pass, with_retries
from img2dataset.storage.steady_file import SteadyFile
from img2dataset.working.completing import finish_replacement

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_DIGITS = 12


def open_finished_shard(settings: WriteSettings, shard_id: int) -> FinishedShard | None:
    """A shard that is done, or None if it is not: it has no statistics.

    A replacement of it that was cut short after its commit point is brought to its end first.

    Raises:
        OutputError: its statistics cannot be read, or it is done under a name of other digits.
    """
    location = settings.locate()
    shard = shard_name(shard_id, settings.shard_digits)
    finish_replacement(location, shard, settings.run_id)
    statistics_text = _read_statistics(location, shard)
    if statistics_text is None:
        _refuse_other_digits(location, shard_id, shard)
        return None
    return FinishedShard(settings, location, shard_id, statistics_text)


class FinishedShard:
    """One finished shard, read from the output folder when asked.

    Args:
        settings: of the run that reads it; they say which columns it should have.
        location: of the output folder.
        shard_id: its number.
        statistics_text: its statistics file, as it stood when the shard was opened.
        in_place: whether its files stand in the output folder itself; else they are what a stop has kept,
            and have to be taken from there (see ``unfinished``).

    Raises:
        OutputError: the statistics are none.
    """

    def __init__(
        self,
        settings: WriteSettings,
        location: Location,
        shard_id: int,
        statistics_text: bytes,
        *,
        in_place: bool = True,
    ) -> None:
        self.shard_id = shard_id
        self.in_place = in_place
        self.name = shard_name(shard_id, settings.shard_digits)
        self.statistics_text = statistics_text
        self._settings = settings
        self._location = location
        try:
            statistics = json.loads(statistics_text)
        except ValueError as error:
            raise self.broken(f"{statistics_name(self.name)} cannot be read: {one_line(error)}") from error
        if not isinstance(statistics, dict):
            raise self.broken(f"{statistics_name(self.name)} is no statistics file")
        self.statistics: dict[str, Any] = statistics

    @property
    def folder(self) -> str:
        """Where its files stand, on the file system of the output folder."""
        return self._location.path

    @cached_property
    def metadata(self) -> pa.Table:
        """The metadata of all rows in the order of the input, without the images of format parquet.

        The computed columns, ``caption`` and ``url`` have the types that they have now, whatever 1.47.0 made
        of a column without values; the additional columns are as they stand.

        Raises:
            OutputError: it is missing, broken, has other columns than the settings ask for, or not one row
                for each of its keys.
        """
        if not self._settings.format.keeps_metadata:
            raise OutputError(
                f"shard {self.name}: --output_format {self._settings.output_format} keeps no metadata: no row"
                " of it can be retried"
            )
        table = self._read_metadata()
        self._check_columns(table.column_names)
        return self._in_order_of_rows(self._typed(table))

    @contextlib.contextmanager
    def local_data(self, folder: str, name: str) -> Iterator[str]:
        """The path of the shard's data file ``name``, while a writer reads it.

        From another file system it is first copied to ``folder``, and removed from there at the end: a tar is
        read in two passes, and a disk is cheaper than the second download.

        Raises:
            ValueError: it is not there.
        """
        try:
            if self._location.is_local:
                path = os.path.join(self._location.path, name)
                os.stat(path)
                yield path
                return
            path = os.path.join(folder, f"finished-{name}")
            remote = f"{self._location.path}/{name}"
            with_retries(lambda: self._location.file_system.get_file(remote, path))
        except FileNotFoundError as error:
            raise ValueError(f"{name} is missing") from error
        try:
            yield path
        finally:
            os.unlink(path)

    def file_sizes(self) -> dict[str, int]:
        """The sizes of the files of a ``files`` shard in bytes, by name.

        Raises:
            ValueError: the folder is not there.
        """
        folder = f"{self._location.path}/{self.name}"
        try:
            if self._location.is_local:
                with os.scandir(folder) as entries:
                    return {entry.name: entry.stat().st_size for entry in entries}
            file_system = self._location.file_system
            file_system.invalidate_cache(folder)
            files = with_retries(lambda: file_system.ls(folder, detail=True))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"the folder {self.name} is missing") from error
        return {file["name"].rpartition("/")[2]: file["size"] for file in files if file["type"] == "file"}

    def take_file(self, name: str, target: str) -> None:
        """Have one file of a ``files`` shard stand at ``target`` too, on the local disk, without copying it
        where that can be.

        Raises:
            OSError: it is not there, or cannot be written.
        """
        source = f"{self._location.path}/{self.name}/{name}"
        if not self._location.is_local:
            with_retries(lambda: self._location.file_system.get_file(source, target))
            return
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            shutil.copyfile(source, target)

    def broken(self, reason: str) -> OutputError:
        """The error that says what is wrong with this shard, and the way out.

        What a stop has kept needs none: a shard of which it cannot be used is made anew.
        """
        way_out = (
            f"; remove {statistics_name(self.name)} to have the shard made again" if self.in_place else ""
        )
        return OutputError(
            f"output_folder {self._location.name!r}: shard {self.name} is broken: {reason}{way_out}"
        )

    def _read_metadata(self) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = metadata_name(self.name)
        path = f"{self._location.path}/{name}"
        file_system = self._location.file_system
        if not self._location.is_local:
            file_system.invalidate_cache(self._location.path)
        try:
            stream = SteadyFile(lambda: file_system.open(path, "rb"), self._location.tried)
        except FileNotFoundError as error:
            raise self.broken(f"{name} is missing") from error
        try:
            with stream:
                file = pq.ParquetFile(stream)
                columns = file.schema_arrow.names
                images = self._settings.format.image_column(file.schema_arrow, self._settings.encode_format)
                columns = [column for column in columns if column != images]
                return file.read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            if stream.error is not None and not self._location.is_local:
                raise stream.error from error  # the store is away, which is no fault of the shard
            raise self.broken(f"{name} cannot be read: {one_line(error)}") from error

    def _check_columns(self, names: list[str]) -> None:
        expected = ["url", *self._settings.computed_columns]
        if self._settings.save_captions:
            expected.insert(0, "caption")
        missing = [name for name in expected if name not in names]
        # The columns of the input come first; which these are, the writer knows.
        after_url = names[names.index("url") + 1 :] if "url" in names else []
        others = [name for name in after_url if name not in expected]
        if not self._settings.save_captions and "caption" in names:
            others.insert(0, "caption")
        refuse_columns(self.name, missing, others)

    def _typed(self, table: pa.Table) -> pa.Table:
        """With the types that the metadata of a new shard has."""
        import pyarrow as pa

        arrays = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            expected = column_type(name, self._settings)
            try:
                arrays.append(column if expected is None else column.cast(expected))
            except (pa.ArrowException, NotImplementedError) as error:
                raise self.broken(
                    f"column {name} is of type {column.type}, which is no {expected}: {one_line(error)}"
                ) from error
        schema = pa.schema(
            [pa.field(name, array.type) for name, array in zip(table.column_names, arrays, strict=True)]
        )
        return pa.Table.from_arrays(arrays, schema=schema)

    def _in_order_of_rows(self, table: pa.Table) -> pa.Table:
        """1.47.0 wrote rows in the order of the answers; their keys say which rows they are."""
        import pyarrow as pa

        first_key = self.shard_id * 10 ** key_digits(self._settings.rows_per_shard)
        positions = [-1] * table.num_rows
        for position, key in enumerate(table["key"].to_pylist()):
            index = int(key) - first_key if key is not None and key.isdecimal() else -1
            if not 0 <= index < table.num_rows or positions[index] != -1:
                raise self.broken(
                    f"its metadata has {counted(table.num_rows, 'row')} and the key {key!r}, not one row for"
                    " each key: was --number_sample_per_shard another?"
                )
            positions[index] = position
        if positions == list(range(table.num_rows)):
            return table
        return table.take(pa.array(positions))


def refuse_columns(shard: str, missing: list[str], others: list[str]) -> None:
    """Refuse metadata that lacks columns, or has others.

    Raises:
        OutputError: any are given.
    """
    differences = []
    if missing:
        differences.append(f"lacks {', '.join(missing)}")
    if others:
        differences.append(f"also has {', '.join(others)}")
    if differences:
        raise OutputError(
            f"shard {shard}: its metadata {' and '.join(differences)}, as the options are now; "
            "give the options that the folder was made with"
        )


def _read_statistics(location: Location, shard: str) -> bytes | None:
    path = f"{location.path}/{statistics_name(shard)}"
    try:
        contents: bytes = with_retries(lambda: location.file_system.cat_file(path))
    except FileNotFoundError:
        return None
    except Exception as error:
        if not location.is_local and may_pass(error):
            raise  # the store is away, which is no fault of the shard
        raise OutputError(
            f"output_folder {location.name!r}: {statistics_name(shard)} cannot be read: {one_line(error)}"
        ) from error
    return contents


def _refuse_other_digits(location: Location, shard_id: int, shard: str) -> None:
    """Made again under a second name, the shard would be there twice."""
    for other in {shard_name(shard_id, digits) for digits in range(1, _MOST_DIGITS + 1)} - {shard}:
        statistics = statistics_name(other)
        if with_retries(partial(location.file_system.exists, f"{location.path}/{statistics}")):
            raise OutputError(
                f"output_folder {location.name!r}: shard {shard_id} is done as {statistics}, not as "
                f"{statistics_name(shard)}; give --oom_shard_count {len(other)}, as the folder was made with"
            )

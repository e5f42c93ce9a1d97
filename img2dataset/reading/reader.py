"""The reader: one list, opened and checked, handing out shards as often as asked. Used by the api.

``read_table`` gives all rows of a list at once, for the datasets of the training side.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from img2dataset.errors import InputError, one_line
from img2dataset.options import InputOptions, option_specs

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.reading.columns import SelectedColumn
    from img2dataset.reading.files import ListFile
    from img2dataset.reading.rows import RowSource
    from img2dataset.reading.sharding import ToNumber
    from img2dataset.storage.patience import Patience
    from img2dataset.types import InputFile, PlannedShard, Shard

Item = TypeVar("Item")

# Files whose beginning is looked at before the run; those after them are looked at when their turn comes.
CHECKED_FILES = 32
# Formats whose lines are URLs.
LINES = ("txt", "txt.gz")
# How else files of a format are named.
OTHER_ENDINGS = {"ndjson": "jsonl", "ndjson.gz": "jsonl.gz", "pq": "parquet"}

_logger = logging.getLogger("img2dataset")


class Reader:
    """A list that has been found and whose beginning has been checked. Made by ``open_reader``."""

    def __init__(
        self,
        rows_per_shard: int,
        selected: tuple[SelectedColumn, ...],
        files: list[ListFile],
        sources: list[RowSource],
        has_rows: bool,
    ) -> None:
        from img2dataset.reading.columns import HIDDEN

        self._rows_per_shard = rows_per_shard
        self._files = files
        self._sources = sources
        self.has_rows = has_rows
        # Rows of the files that the latest pass has read to their ends.
        self.rows_of_files: list[int] = []
        self.columns: tuple[str, ...] = tuple(column.name for column in selected if column.name not in HIDDEN)

    @property
    def files(self) -> list[InputFile]:
        """The files of the list in the order they are read; none for a list in memory."""
        return [file.identity for file in self._files]

    @property
    def has_marks(self) -> bool:
        """Whether size or time tell this list from another: not one in memory, or on a pipe."""
        marks = [(file.identity.size, file.identity.modified) for file in self._files]
        return bool(marks) and (None, None) not in marks

    def total_rows(self) -> int | None:
        """Rows of the whole list where that is known without reading it: parquet and lists in memory.

        It reads the footer of every parquet file. Safe in a thread beside ``shards``. None also where
        a footer cannot be read: ``shards`` will say so; and on a server with one connection, over which
        the two threads would wait for ever.
        """
        if any(file.takes_one_at_a_time for file in self._files):
            return None
        total = 0
        for source in self._sources:
            try:
                rows = source.row_count()
            except InputError:
                return None
            if rows is None:
                return None
            total += rows
        return total

    def shards(
        self, skip: Container[int] = (), first_shard_id: int = 0, others: Container[int] = ()
    ) -> Iterator[Shard]:
        """Shards in order of their number, read as they are asked for; each call begins anew.

        Args:
            skip: numbers of shards that are not wanted; their rows are counted and not built.
            first_shard_id: number of the first shard.
            others: numbers that another list has taken.

        Raises:
            InputError: a file changed since the reader was opened, breaks off (after a last, short
                shard of the rows before the break), or is not what the first ones were; or the shards come
                to one of ``others``.
        """
        from img2dataset.reading.sharding import shards_to_number

        return self._numbered(map(shards_to_number, self._unchanged_sources()), skip, first_shard_id, others)

    def plan(
        self, skip: Container[int] = (), first_shard_id: int = 0, others: Container[int] = ()
    ) -> Iterator[PlannedShard]:
        """The shards of ``shards``, by place where the list can be entered in the middle, else as rows.

        ``ShardReader.read`` makes each the ``Shard`` that it is, on any machine that sees the list. Of
        parquet only footers are read; plain text is read once, to count its rows, and nothing is built of it.

        Args:
            skip: numbers of shards that are not wanted.
            first_shard_id: number of the first shard.
            others: numbers that another list has taken.

        Raises:
            InputError: as ``shards``; but a parquet file that breaks off between its footer and its beginning
                is the failure of the shards whose rows lie there.
        """
        from img2dataset.reading.planning import specs_to_number

        files: list[ListFile | None] = [*self._files] or [None] * len(self._sources)
        sources = map(specs_to_number, self._unchanged_sources(), files)
        return self._numbered(sources, skip, first_shard_id, others)

    def _numbered(
        self,
        sources: Iterator[ToNumber[Item]],
        skip: Container[int],
        first_shard_id: int,
        others: Container[int],
    ) -> Iterator[Item]:
        from img2dataset.reading.sharding import number_shards

        self.rows_of_files = []
        on_rows = self.rows_of_files.append
        return number_shards(sources, self._rows_per_shard, skip, first_shard_id, on_rows, others)

    def _unchanged_sources(self) -> Iterator[RowSource]:
        if not self._files:
            yield from self._sources
        for file, source in zip(self._files, self._sources, strict=False):
            file.check_unchanged()
            yield source
            file.check_unchanged()


def open_reader(options: InputOptions, rows_per_shard: int, patience: Patience | None = None) -> Reader:
    """Find a list and check its beginning, reading no more than about 1 MiB of each of its first files.

    Args:
        options: where the list is, its format, and which of its columns are wanted. A list in memory has no
            format: ``input_format`` and what csv needs do not apply to it.
        rows_per_shard: at least 1.
        patience: with the store of the list; None: what fails is tried five times.

    Raises:
        InputError: nothing there, not readable, another format than said, a column missing. A list
            without rows is a warning.
        OptionError: ``input_format`` names no format.
        MissingDependency: the file system of the list, or its format, needs a package that is not installed.
    """
    from img2dataset.reading.rows import Warnings

    if rows_per_shard < 1:
        raise InputError(f"rows_per_shard is {rows_per_shard}; it must be at least 1")
    warnings = Warnings()
    files: list[ListFile] = []
    checked = CHECKED_FILES
    if isinstance(options.url_list, (str, os.PathLike)):
        from img2dataset.reading.files import find_files
        from img2dataset.reading.list_format import list_format

        read_as = list_format(options.input_format)
        selected = read_as.select(options)
        files = find_files(os.fspath(options.url_list), options.input_format, patience)
        sources = [read_as.source(file, options, selected, warnings) for file in files]
        checked = 1 if read_as.read_whole else CHECKED_FILES
    else:
        from img2dataset.reading.columns import selected_columns
        from img2dataset.reading.memory_lists import memory_source

        selected = selected_columns(options)
        sources = [memory_source(options.url_list, selected, options.url_col, warnings)]
    has_rows = _check_beginnings(sources, checked, options.url_list if files else "in memory")
    # What is not lines at all has been refused.
    _warn_of_format(files, options.input_format)
    return Reader(rows_per_shard, selected, files, sources, has_rows)


def _warn_of_format(files: list[ListFile], input_format: str) -> None:
    """Say that a list is named as one of columns, and read as one of lines."""
    told = next((name for file in files if (name := format_of_path(file.path)) is not None), None)
    if input_format in LINES and told is not None and told not in LINES:
        _logger.warning(
            "the list is named as %s, and --input_format is %s: each line is taken for a URL;"
            " --input_format %s reads its columns",
            told,
            input_format,
            told,
        )


def read_objects(path: str, input_format: str) -> Iterator[Mapping[str, Any]] | None:
    """All rows of a list just as they stand in it, where they are objects; None for formats of columns.

    A row that is no object has no values.

    Args:
        path, input_format: as ``read_table``.

    Raises:
        InputError, OptionError, MissingDependency: as ``read_table``; the first also while rows are taken.
    """
    from img2dataset.reading.files import find_files
    from img2dataset.reading.list_format import list_format
    from img2dataset.reading.rows import Warnings
    from img2dataset.reading.tables import objects_of

    options = InputOptions(url_list=path, input_format=input_format)
    read_as = list_format(input_format)
    warnings = Warnings()
    files = find_files(path, input_format)
    found = [(file, read_as.objects(file, options, warnings)) for file in files]
    if any(records is None for _, records in found):
        return None
    return chain.from_iterable(objects_of(records or (), file.path, warnings) for file, records in found)


def read_text(path: str, input_format: str) -> str:
    """The text of a list that is one document, for those who know more layouts of it than a download reads.

    Args:
        path: of a file, on any file system fsspec knows.
        input_format: "json" or "json.gz".

    Raises:
        InputError, OptionError, MissingDependency: as ``read_table``.
    """
    from img2dataset.reading.files import find_files
    from img2dataset.reading.text import whole_text

    (file,) = find_files(path, input_format)
    return whole_text(file, InputOptions(url_list=path, input_format=input_format))


def read_table(path: str, input_format: str, input_columns: Sequence[str] | None = None) -> pa.Table:
    """All rows and columns of a list as they stand in it, for those who look rows up by number.

    Each format reads them by the rules by which it reads the shards of a download.

    Args:
        path: of a file, a folder or a glob, on any file system fsspec knows.
        input_format: as the option of this name.
        input_columns: names of the columns of a csv or tsv without a header; None: it has one.

    Raises:
        InputError: nothing there, not readable, another format than said; or files that do not fit together.
        OptionError: ``input_format`` names no format.
        MissingDependency: the file system of the list, or its format, needs a package that is not installed.
    """
    import pyarrow as pa

    from img2dataset.reading.files import find_files
    from img2dataset.reading.list_format import list_format
    from img2dataset.reading.rows import Warnings

    names = None if input_columns is None else tuple(input_columns)
    options = InputOptions(url_list=path, input_format=input_format, input_columns=names)
    read_as = list_format(input_format)
    warnings = Warnings()
    tables = [read_as.table(file, options, warnings) for file in find_files(path, input_format)]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"the files of {path} do not fit together: {one_line(error)}") from error


def format_of_path(path: str) -> str | None:
    """The ``input_format`` that the end of a file's name says; None if it says none."""
    formats = option_specs()["input_format"]
    parts = path.rpartition("/")[2].lower().split(".")[1:]
    endings = [".".join(parts[-count:]) for count in (2, 1) if len(parts) >= count]
    endings = [OTHER_ENDINGS.get(ending, ending) for ending in endings]
    return next((ending for ending in endings if formats.has_choice(ending)), None)


def _check_beginnings(sources: list[RowSource], checked: int, shown: object) -> bool:
    """Look at the first files, and further until one has rows; False, and a warning, if none has."""
    any_rows = False
    for number, source in enumerate(sources):
        if number >= checked and any_rows:
            break
        any_rows = next(source.pending(), None) is not None or any_rows
    if not any_rows:
        # Scripts that filter lists make empty ones; 1.47.0 took them.
        _logger.warning("url_list %s has no rows; there is nothing to download", shown)
    return any_rows

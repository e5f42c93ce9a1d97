"""What a list format is, and where one is found by its name.

A format turns one file of a list into a ``RowSource`` (``rows.py``): rows that are counted first, and built
into Arrow columns only for shards that are wanted. A new one is one file:

- in this package, ``formats/NAME.py`` with a class ``Format``: its name is then a value of ``input_format``,
  in the check, the help and the README;
- in a package of its own, a class anywhere, named by an entry point of the group ``img2dataset.lists``.

The simplest way is ``RecordFormat``, which asks for one dictionary a row:

    from img2dataset.reading.text import text_lines

    class Format(RecordFormat):
        compressible = True

        def records(self, file, options):
            for line in text_lines(file, options):
                url, _, caption = line.partition(" ")
                yield {"url": url, "caption": caption}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from img2dataset.errors import InputError, OptionError, one_line
from img2dataset.options import InputOptions, option_specs
from img2dataset.plugins import LISTS, make_plugin
from img2dataset.reading.columns import SelectedColumn, selected_columns
from img2dataset.reading.files import ListFile
from img2dataset.reading.records import Record, RecordColumns, RecordRows, as_record
from img2dataset.reading.rows import PendingRows, RowSource, Warnings
from img2dataset.reading.tables import table_of_records

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSED = ".gz"
# Rows of a ``RecordFormat`` that are built together; the types of its columns are those of the first so many.
BATCH_ROWS = 1024


class ListFormat(ABC):
    """One format of URL lists. Made once a reader, without arguments; it keeps nothing of a file.

    ``compressible``: files may also be compressed by gzip; ``input_format`` and their names then end in
    ``.gz``. ``read_whole``: to look at the beginning of a file all of it is read, so that before the run only
    the first file of a list is looked at.
    """

    compressible: ClassVar[bool] = False
    read_whole: ClassVar[bool] = False

    def select(self, options: InputOptions) -> tuple[SelectedColumn, ...]:
        """The columns that are wanted of a list, in the order of the metadata.

        Raises:
            InputError: two would have one name, or the format cannot have one of them.
        """
        return selected_columns(options)

    @abstractmethod
    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        """The rows of one file. Nothing is read before they are asked for.

        Args:
            file: opened as often as its rows are read; a pipe too.
            options: of the list, checked. ``input_format`` says whether the file is compressed.
            columns: what ``select`` gave; rows have these, in this order, under ``SelectedColumn.name``.
            warnings: says each kind of trouble once, however many rows have it.
        """

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        """All rows of one file with all of their columns, as they stand in it. Arguments as of ``source``.

        Raises:
            InputError: the file is not what it should be, or the format cannot say this.
        """
        raise InputError(
            f"{file.path}: rows of {options.input_format} lists cannot be looked up by number; convert"
            " the list to parquet, or stream it"
        )

    def objects(self, file: ListFile, options: InputOptions, warnings: Warnings) -> Iterable[Record] | None:
        """All rows of one file as they stand there, where they are objects; None where they are columns.

        Raises:
            InputError: as ``records`` of ``RecordFormat``.
        """
        return None


class RecordFormat(ListFormat):
    """A format whose rows are made one after another in Python, as dictionaries."""

    @abstractmethod
    def records(self, file: ListFile, options: InputOptions) -> Iterator[Record]:
        """The rows of one file in order, from its beginning: a value by column, or None for what is no row.

        A row that is None, or whose URL is no text, is kept and fails. What must not pass for the end of the
        list, such as a file that breaks off, is raised.

        Raises:
            InputError: the file is not what it should be; any other error becomes one that names the file.
        """

    def source(
        self, file: ListFile, options: InputOptions, columns: Sequence[SelectedColumn], warnings: Warnings
    ) -> RowSource:
        return _RecordSource(self, file, options, columns, warnings)

    def table(self, file: ListFile, options: InputOptions, warnings: Warnings) -> pa.Table:
        return table_of_records(self.objects(file, options, warnings), file.path, warnings)

    def objects(self, file: ListFile, options: InputOptions, warnings: Warnings) -> Iterable[Record]:
        return _RecordSource(self, file, options, (), warnings).records()


class _RecordSource:
    def __init__(
        self,
        list_format: RecordFormat,
        file: ListFile,
        options: InputOptions,
        columns: Sequence[SelectedColumn],
        warnings: Warnings,
    ) -> None:
        self._format = list_format
        self._file = file
        self._options = options
        self._columns = RecordColumns(columns, file.path, warnings)

    def row_count(self) -> int | None:
        return None

    def pending(self) -> Iterator[PendingRows]:
        first_row = 0
        records = self.records()
        while batch := list(islice(records, BATCH_ROWS)):
            rows = RecordRows(batch, first_row, self._columns, as_record)
            rows.choose_types()
            yield rows
            first_row += len(batch)

    def records(self) -> Iterator[Record]:
        try:
            yield from self._format.records(self._file, self._options)
        except InputError:
            raise
        except Exception as error:  # of a format that may be a stranger's
            raise InputError(
                f"{self._file.path} cannot be read as {self._options.input_format}:"
                f" {type(error).__name__}: {one_line(error)}"
            ) from error


def list_format(input_format: str) -> ListFormat:
    """The format that the option ``input_format`` names: built in, or of another package.

    Raises:
        OptionError: there is none of this name, or it cannot be compressed.
        MissingDependency: the package that has it cannot be imported.
    """
    name = input_format.removesuffix(COMPRESSED)
    if name in option_specs()["input_format"].choices:
        found: ListFormat = import_module(f"img2dataset.reading.formats.{name}").Format()
    else:
        # mypy takes a type[T] for one that is called; here it is only what the class must be made from.
        found = make_plugin(LISTS, name, ListFormat)  # type: ignore[type-abstract]
    if input_format.endswith(COMPRESSED) and not found.compressible:
        raise OptionError(
            f"--input_format is {input_format!r}; {name} lists are not read compressed by gzip: decompress"
            f" the list, and give --input_format {name}"
        )
    return found

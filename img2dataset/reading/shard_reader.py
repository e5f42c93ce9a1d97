"""One shard, by the place where its rows lie in the list → the shard.

``Reader.plan`` gives out ``ShardSpec`` and ``RowsSpec``, which can travel; ``ShardReader.read`` makes each
its shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading.rows import Warnings
from img2dataset.types import InputFile, PlannedShard, RowsSpec, Shard, ShardSpec

if TYPE_CHECKING:
    from img2dataset.reading.files import ListFile
    from img2dataset.reading.places import PlacedSource
    from img2dataset.reading.rows import BuiltRows
    from img2dataset.storage.patience import Patience


class ShardReader:
    """Reads the shards of one list, as they are given out by ``Reader.plan``, in any order.

    It keeps the file of the latest one open. Not for several threads at once.
    """

    def __init__(self, options: InputOptions, patience: Patience | None = None) -> None:
        """Nothing is opened yet.

        Args:
            options: of the list, as ``open_reader`` was given them.
            patience: with its store.
        """
        self._options = options
        self._patience = patience
        self._warnings = Warnings()
        self._latest: tuple[ListFile, PlacedSource] | None = None

    def read(self, spec: PlannedShard) -> Shard:
        """The shard, just as ``Reader.shards`` gives it.

        Raises:
            InputError: its rows cannot be read, or the file is another one than when it was planned.
            OptionError, MissingDependency: as ``open_reader``.
        """
        if isinstance(spec, RowsSpec):
            return spec.shard
        file, source = self._entered(spec.file)
        file.check_unchanged()
        from img2dataset.reading.places import NotThere
        from img2dataset.reading.sharding import shard_of

        try:
            parts = _parts(source, spec)
        except (InputError, NotThere) as error:
            self._latest = None
            # A file that changed is the reason for whatever was found in it, so that is said instead.
            file.check_unchanged()
            if isinstance(error, InputError):
                raise
            last = spec.first_row + spec.rows
            raise InputError(
                f"{file.path}: rows {spec.first_row + 1} to {last} are not where they were when the list was"
                f" counted: {error}; if it was changed, start again into another output folder"
            ) from error
        file.check_unchanged()
        return shard_of(spec.shard_id, parts)

    def check(self, spec: ShardSpec) -> None:
        """See that the file of a shard can be read here, and is the one that was planned.

        Raises:
            InputError: it is not, or cannot be.
            OptionError, MissingDependency: as ``open_reader``.
        """
        from img2dataset.reading.files import file_again

        file = file_again(self._options.url_list, spec.file)
        file.check_unchanged()
        with file.open():
            pass

    def _entered(self, identity: InputFile) -> tuple[ListFile, PlacedSource]:
        from img2dataset.reading.files import file_again
        from img2dataset.reading.list_format import list_format
        from img2dataset.reading.places import PlacedSource

        if self._latest is None or self._latest[0].identity != identity:
            options = self._options
            read_as = list_format(options.input_format)
            file = file_again(options.url_list, identity, self._patience)
            source = read_as.source(file, options, read_as.select(options), self._warnings)
            assert isinstance(source, PlacedSource), f"{options.input_format} was planned by place"
            self._latest = file, source
        return self._latest


def _parts(source: PlacedSource, spec: ShardSpec) -> list[BuiltRows]:
    from img2dataset.reading.places import NotThere

    parts = []
    missing = spec.rows
    for rows in source.rows_at(spec):
        missing -= rows.count
        if missing < 0:
            raise NotThere("there are more rows")
        parts.append(rows.build(0, rows.count))
    if missing:
        raise NotThere(f"{missing} of the rows are missing")
    return parts

"""An output folder opened for this command, and read shard by shard: columns of metadata, in batches.

In: a path as it was given. Out: ``Folder`` and its batches, or one clear error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from img2dataset.counted import counted
from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import metadata_name
from img2dataset.reporting.report.folder import Folder, Statistics, batches_of, open_folder, read_statistics
from img2dataset.storage.locations import locate

if TYPE_CHECKING:
    import pyarrow as pa

OnProblem = Callable[[str], None]


class Problems:
    """What cannot be read or done; each is told once, and kept.

    Args:
        tell: told them.
    """

    def __init__(self, tell: OnProblem) -> None:
        self.told: list[str] = []
        self._tell = tell

    def __call__(self, problem: str) -> None:
        if problem not in self.told:
            self.told.append(problem)
            self._tell(problem)


def open_output(path: str) -> Folder:
    """The finished shards of an output folder.

    Raises:
        OutputError: there is no such folder, it cannot be read, or no shard of it is done.
        MissingDependency: its file system's package is not installed.
    """
    location = locate(path, "OUTPUT", OutputError)
    try:
        folder = open_folder(location)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OutputError(f"{path!r} is no folder; name the output folder of a run") from error
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"{path!r} cannot be read: {one_line(error)}") from error
    if not folder.shards:
        raise OutputError(f"{path!r} holds no finished shard of a dataset; name the output folder of a run")
    return folder


def all_statistics(folder: Folder, on_problem: OnProblem) -> Statistics:
    """Those of every shard; ``on_problem`` hears of those that cannot be read."""
    statistics = read_statistics(folder, len(folder.shards))
    if statistics.unreadable:
        on_problem(f"the statistics of {counted(statistics.unreadable, 'shard')} cannot be read")
    return statistics


def shards_with_metadata(folder: Folder, on_problem: OnProblem) -> list[str]:
    """The finished shards that keep their rows: those of the format ``dummy`` do not.

    ``on_problem`` hears of those whose metadata are gone.
    """
    shards = [shard for shard in folder.shards if metadata_name(shard) in folder.names]
    missing = len(folder.shards) - len(shards)
    if missing and folder.format is not None:
        on_problem(f"the metadata of {counted(missing, 'shard')} are missing")
    return shards


def readable_batches(
    folder: Folder,
    shard: str,
    columns: Sequence[str],
    on_problem: OnProblem,
    needed: Sequence[str] = (),
) -> Iterator[pa.RecordBatch | None]:
    """Those of these columns that a shard has; None, as the last, where it cannot be read (to its end).

    Args:
        folder: where it lies.
        shard: which.
        columns: that are read.
        on_problem: told why it cannot be read.
        needed: those of the columns without which it cannot be.
    """
    try:
        for batch in batches_of(folder, shard, columns):
            lacking = [name for name in needed if name not in batch.schema.names]
            if lacking:
                on_problem(f"the metadata of shard {shard} have no column {', '.join(lacking)}")
                yield None
                return
            yield batch
    except Exception as error:  # not whole, or a run replaces it meanwhile
        on_problem(f"the metadata of shard {shard} cannot be read: {one_line(error)}")
        yield None

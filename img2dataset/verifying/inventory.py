"""What stands in an output folder, by shard, before any file is opened.

In: the folder's location. Out: finished shards (those with statistics), shards that have files and no
statistics, leftovers of runs, and everything else. Called by ``verification``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from img2dataset.errors import OutputError, one_line
from img2dataset.formats import OutputFormat, formats_with_own_data
from img2dataset.formats.dataset import (
    METADATA_ENDING,
    REPLACEMENTS_FOLDER,
    REPORT_NAMES,
    STATISTICS_ENDING,
    shard_and_ending,
)
from img2dataset.storage.locations import Location
from img2dataset.storage.retries import with_retries
from img2dataset.storage.temporaries import FORMER_TEMPORARY_FOLDER, TEMPORARY_FOLDER
from img2dataset.working.replacement_journal import journals_folder
from img2dataset.working.unfinished import UNFINISHED_FOLDER, unfinished_shards


@dataclass(frozen=True, slots=True)
class FoundShard:
    """The files of one shard, by what follows its name; ``folders`` are those that are folders."""

    shard_id: int
    name: str
    endings: frozenset[str]
    folders: frozenset[str] = frozenset()


@dataclass
class Inventory:
    """The output folder, sorted out; shards in the order of their numbers.

    ``replaced`` are finished shards of which new files are about to take the place: their files need not
    agree until the next run, which brings this to its end. ``kept`` are numbers of shards of which a stop has
    kept a part. ``formats`` are those whose data there may be, by their ending.
    """

    finished: list[FoundShard] = field(default_factory=list)
    unfinished: list[FoundShard] = field(default_factory=list)
    replaced: list[FoundShard] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    formats: Mapping[str, OutputFormat] = field(default_factory=dict)

    @property
    def digits(self) -> int:
        """Digits of shard numbers: of the shortest name, as long numbers keep all of theirs."""
        return min((len(shard.name) for shard in self.shards()), default=5)

    def shards(self) -> Iterator[FoundShard]:
        """All shards, done or not."""
        yield from self.finished
        yield from self.unfinished
        yield from self.replaced


def take_inventory(location: Location, output_formats: Iterable[str]) -> Inventory:
    """Sort out what is in the folder.

    Args:
        location: of the folder.
        output_formats: names of formats that it may have beside those built in.

    Raises:
        OutputError: there is no such folder, or it cannot be listed.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    inventory = Inventory(formats=formats_with_own_data(*output_formats))
    listing = list_folder(location, location.path)
    rewritten: set[str] = set()
    if (REPLACEMENTS_FOLDER, True) in listing:
        rewritten = {name for name, _ in list_folder(location, journals_folder(location))}
    for name, is_folder in listing:
        of_shard = shard_and_ending(name, inventory.formats)
        if of_shard is None:
            _sort_other(name, inventory)
            continue
        shard_name, ending = of_shard
        endings, folders = found.setdefault(shard_name, (set(), set()))
        endings.add(ending)
        if is_folder:
            folders.add(ending)
    shards = [
        FoundShard(int(name), name, frozenset(endings), frozenset(folders))
        for name, (endings, folders) in found.items()
    ]
    for shard in sorted(shards, key=lambda shard: (shard.shard_id, shard.name)):
        if STATISTICS_ENDING not in shard.endings:
            inventory.unfinished.append(shard)
        elif shard.name in rewritten:
            inventory.replaced.append(shard)
        else:
            inventory.finished.append(shard)
    if (UNFINISHED_FOLDER, True) in listing:
        done = {shard.shard_id for shard in inventory.finished}
        inventory.kept = sorted(unfinished_shards(location) - done)
    inventory.others.sort()
    return inventory


def list_folder(location: Location, folder: str) -> list[tuple[str, bool]]:
    """The names directly in a folder, and whether each is a folder.

    Raises:
        OutputError: it does not exist or cannot be listed.
    """
    try:
        if location.is_local:
            with os.scandir(folder) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]
        location.file_system.invalidate_cache()
        listing = with_retries(lambda: location.file_system.ls(folder, detail=True))
    except FileNotFoundError as error:
        raise OutputError(
            f"output_folder {location.name!r} does not exist; name the output folder of a run"
        ) from error
    except Exception as error:
        raise OutputError(f"output_folder {location.name!r} cannot be listed: {one_line(error)}") from error
    names = ((entry["name"].rstrip("/"), entry["type"] == "directory") for entry in listing)
    return [(path.rpartition("/")[2], is_folder) for path, is_folder in names if path != folder.rstrip("/")]


def format_of(inventory: Inventory) -> str | None:
    """The format that most shards' files are of; None when that cannot be told from names alone.

    ``files`` and ``parquet`` without a single success look the same on an object store, which has no
    empty folders.
    """
    counts: Counter[str] = Counter()
    has_tables = False
    for shard in inventory.shards():
        has_tables |= METADATA_ENDING in shard.endings
        for ending, output_format in inventory.formats.items():
            # A folder called 00000.tar is a fault and no sign of a format.
            if ending in shard.endings and (ending in shard.folders) == output_format.is_folder:
                counts[output_format.name] += 1
    if counts:
        return counts.most_common(1)[0][0]
    return None if has_tables else "dummy"


def gaps(numbers: Iterable[int], expected_end: int) -> list[tuple[int, int]]:
    """First and last of each run of numbers that are missing from 0 up to the highest, or ``expected_end``.

    Args:
        numbers: in ascending order.
        expected_end: one more than the highest number that must be there, 0 if that is not known.
    """
    found: list[tuple[int, int]] = []
    following = 0
    for number in numbers:
        if number > following:
            found.append((following, number - 1))
        following = number + 1
    if following < expected_end:
        found.append((following, expected_end - 1))
    return found


def _sort_other(name: str, inventory: Inventory) -> None:
    if name in (TEMPORARY_FOLDER, FORMER_TEMPORARY_FOLDER) or name.startswith(".img2dataset-"):
        inventory.leftovers.append(name)
    elif "img2dataset" not in name and name not in REPORT_NAMES:
        inventory.others.append(name)

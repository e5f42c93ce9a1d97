"""Removing bad shards, so that the next run makes them again.

In: shards. Out: the folder without them. Called by ``verification``.

The statistics go first: should this be interrupted, what is left of the shard counts as not done, and the
next run replaces it.
"""

from __future__ import annotations

from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import STATISTICS_ENDING
from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import flush_to_disk
from img2dataset.verifying.inventory import FoundShard


def remove_shard(location: Location, shard: FoundShard) -> None:
    """Remove every file of one shard, statistics first.

    Raises:
        OutputError: something cannot be removed.
    """
    for ending in sorted(shard.endings, key=lambda ending: ending != STATISTICS_ENDING):
        name = shard.name + ending
        try:
            remove(location, f"{location.path}/{name}")
            if ending == STATISTICS_ENDING and location.is_local:
                flush_to_disk(location.path)  # before what they vouch for goes
        except Exception as error:
            raise OutputError(
                f"output_folder {location.name!r}: {name} cannot be removed: {one_line(error)}"
            ) from error

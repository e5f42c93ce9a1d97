"""What a worker is told once, before its first shard. Picklable: it travels to workers."""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.fetching import FetchSettings
from img2dataset.options import ImageOptions
from img2dataset.writing import WriteSettings


@dataclass(frozen=True)
class WorkSettings:
    """The settings of the rooms a row passes in a worker.

    ``verify_hash`` says that the rows bring the hash their bytes must have, ``blur`` that they bring
    regions to blur. ``retry`` has the beginnings of the failures to take again in shards that are done; None:
    shards are made from nothing.
    """

    fetch: FetchSettings
    image: ImageOptions
    write: WriteSettings
    compute_hash: str | None
    verify_hash: bool
    blur: bool
    retry: tuple[str, ...] | None = None

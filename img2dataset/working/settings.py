"""What a worker is told once, before its first shard. Picklable: it travels to workers."""

from __future__ import annotations

from dataclasses import dataclass, field

from img2dataset.fetching import FetchSettings
from img2dataset.formats.settings import WriteSettings
from img2dataset.options import ImageOptions
from img2dataset.options.logs import LogSettings


@dataclass(frozen=True)
class WorkSettings:
    """The settings of the rooms a row passes in a worker.

    ``verify_hash`` says that the rows bring the hash their bytes must have, ``blur`` that they bring regions
    to blur.
    """

    fetch: FetchSettings
    image: ImageOptions
    write: WriteSettings
    verify_hash: bool
    blur: bool
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def retry(self) -> tuple[str, ...] | None:
        """Beginnings of the failures to retry in finished shards; None: finished shards are not opened."""
        return self.write.retry_classes if self.write.incremental_mode == "retry_failed" else None

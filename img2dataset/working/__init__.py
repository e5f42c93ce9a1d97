"""The worker: an iterator of shards comes in, an iterator of shard reports goes out."""

from img2dataset.working.settings import WorkSettings
from img2dataset.working.worker import work

__all__ = ["WorkSettings", "work"]

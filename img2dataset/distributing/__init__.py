"""Who runs the workers, and how failed shards come round again. Shards in, shard reports out."""

from img2dataset.distributing.local import LocalPool
from img2dataset.distributing.passes import run_passes

__all__ = ["LocalPool", "run_passes"]

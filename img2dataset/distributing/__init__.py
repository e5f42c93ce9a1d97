"""Who runs the workers, and how failed shards come round again. Shards in, shard reports out."""

from img2dataset.distributing.engine import Capabilities, Engine
from img2dataset.distributing.engines import create_engine
from img2dataset.distributing.passes import run_passes

__all__ = [
    "Capabilities",
    "Engine",
    "create_engine",
    "run_passes",
]

"""Who runs the workers, and how failed shards come round again. Shards in, shard reports out."""

from img2dataset.distributing.engine import Capabilities, Engine
from img2dataset.distributing.engines import create_engine
from img2dataset.distributing.passes import run_passes
from img2dataset.distributing.stopping import StoppedEarly, StopRequest, exit_status_of, stop_on_signals

__all__ = [
    "Capabilities",
    "Engine",
    "StopRequest",
    "StoppedEarly",
    "create_engine",
    "exit_status_of",
    "run_passes",
    "stop_on_signals",
]

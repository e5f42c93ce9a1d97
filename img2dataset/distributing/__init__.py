"""Who runs the workers, and how failed shards come round again. Shards in, shard reports out."""

from img2dataset.distributing.engine import Capabilities, Engine, EngineSettings, engine_settings
from img2dataset.distributing.engines import create_engine
from img2dataset.distributing.member_notes import MemberRecord
from img2dataset.distributing.passes import run_passes

__all__ = [
    "Capabilities",
    "Engine",
    "EngineSettings",
    "MemberRecord",
    "create_engine",
    "engine_settings",
    "run_passes",
]

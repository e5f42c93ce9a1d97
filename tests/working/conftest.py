"""The stores of ``tests/storage``, to write shards to."""

from __future__ import annotations

from tests.storage.conftest import (
    remote_folder,
    renaming_folder,
    s3_server,
    short_waits,
    spool,
    unsteady_folder,
)

__all__ = ["remote_folder", "renaming_folder", "s3_server", "short_waits", "spool", "unsteady_folder"]

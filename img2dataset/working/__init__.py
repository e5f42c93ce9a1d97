"""The worker: an iterator of shards comes in, an iterator of shard reports goes out.

``work`` and ``Worker`` are loaded when first used: they need OpenCV, which the program itself does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from img2dataset.working.settings import WorkSettings

if TYPE_CHECKING:
    from img2dataset.working.worker import Worker, work

__all__ = ["WorkSettings", "Worker", "work"]


def __getattr__(name: str) -> Any:
    if name not in ("work", "Worker"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from img2dataset.working import worker

    return getattr(worker, name)

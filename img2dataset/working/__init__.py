"""The worker: an iterator of shards comes in, an iterator of shard reports goes out.

``work`` is loaded when it is first used: it needs OpenCV, which the program itself does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from img2dataset.working.settings import WorkSettings

if TYPE_CHECKING:
    from img2dataset.working.worker import work

__all__ = ["WorkSettings", "work"]


def __getattr__(name: str) -> Any:
    if name != "work":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from img2dataset.working.worker import work

    return work

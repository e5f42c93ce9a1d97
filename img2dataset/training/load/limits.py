"""What one download of the training side may take; made by the loader, for both of its downloaders."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DownloadLimits:
    """What one download may take: seconds, bytes, and tries after the first. See ``ImageLoader``."""

    timeout_s: float
    deadline_s: float
    max_bytes: int
    retries: int
    concurrency: int

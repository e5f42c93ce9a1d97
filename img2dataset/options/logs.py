"""What a program and its workers log, and how. Part of ``table.py``; ``log_output`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``--log_level`` and ``--log_format``."""

    level: LogLevel = "warning"
    format: LogFormat = "text"

"""Statistics, progress and the closing summary; reads only shard reports and what is on disk."""

from img2dataset.reporting.progress import ProgressLine, known_urls_line
from img2dataset.reporting.summary import RunSummary

__all__ = ["ProgressLine", "RunSummary", "known_urls_line"]

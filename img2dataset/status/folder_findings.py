"""What there is to say of a run, from the event logs in its output folder. Called by ``command``."""

from __future__ import annotations

import logging

from img2dataset.errors import OutputError
from img2dataset.reporting.event_log import read_logs
from img2dataset.reporting.events import facts_of_logs
from img2dataset.reporting.findings import Finding, find
from img2dataset.storage.locations import locate

logger = logging.getLogger("img2dataset")


def folder_findings(path: str) -> list[Finding]:
    """The findings of what has been done in an output folder, what matters most first; none without a log.

    Args:
        path: of the folder, on any fsspec file system.
    """
    try:
        logs = read_logs(locate(path, "OUTPUT", OutputError))
    except OutputError:
        raise
    except Exception as error:  # every file system has its own errors; the status itself is known
        logger.warning("the event logs cannot be read, so there are no findings: %s", error)
        return []
    return find(facts_of_logs(logs), logs[-1].run.surroundings) if logs else []

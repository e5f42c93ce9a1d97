"""What there is to say of a run, from the event logs in its output folder. Called by ``command``."""

from __future__ import annotations

import logging

from img2dataset.errors import OutputError
from img2dataset.reporting.event_log import read_logs
from img2dataset.reporting.events import facts_of_logs
from img2dataset.reporting.findings import Finding, find
from img2dataset.storage.locations import locate

logger = logging.getLogger("img2dataset")


def folder_findings(path: str) -> tuple[list[Finding], int]:
    """What is found in what has been done in an output folder, what matters most first; of how many shards.

    None without a log. A run that begins anew, or takes failed rows up again, counts from there on, so that
    the shards may be fewer than the folder has.

    Args:
        path: of the folder, on any fsspec file system.
    """
    try:
        logs = read_logs(locate(path, "OUTPUT", OutputError))
    except OutputError:
        raise
    except Exception as error:  # every file system has its own errors; the status itself is known
        logger.warning("the event logs cannot be read, so there are no findings: %s", error)
        return [], 0
    if not logs:
        return [], 0
    facts = facts_of_logs(logs)
    return find(facts, logs[-1].run.surroundings), facts.shards

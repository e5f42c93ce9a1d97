"""Reports made and put into their folder. Called by the api at the end of a run, and by the command.

In: a location. Out: ``report.html`` and ``report.json``, each whole under its name.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import one_line
from img2dataset.formats.dataset import REPORT_DATA, REPORT_PAGE
from img2dataset.reporting.report.document import report_document
from img2dataset.reporting.report.gathering import Gathered, gather
from img2dataset.reporting.report.page import report_page
from img2dataset.reporting.report.sample import sample_images
from img2dataset.reporting.report.thumbnails import Thumbnail, thumbnails
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.putting import put_text

logger = logging.getLogger("img2dataset")


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it is put: a page, and its document."""

    page: str
    document: dict[str, Any]


def make_report(location: Location, on_problem: Callable[[str], None] = logger.debug) -> Report:
    """The report of an output folder.

    Args:
        location: of the folder.
        on_problem: told what of it cannot be read.

    Raises:
        FileNotFoundError: there is no such folder.
        Exception: it cannot be listed; every file system has its own errors.
    """
    gathered = gather(location, on_problem)
    return report_of(gathered, on_problem)


def report_of(gathered: Gathered, on_problem: Callable[[str], None] = logger.debug) -> Report:
    """The report of what was gathered."""
    sample = sample_images(gathered.folder, gathered.with_metadata, on_problem)
    document = report_document(gathered, sample)
    pictures: list[Thumbnail | None] = []
    if sample:
        try:
            pictures = thumbnails([image.image for image in sample])
        except (OSError, RuntimeError) as error:  # no process can be started
            on_problem(f"no images can be shown: {one_line(error)}")
    return Report(report_page(document, pictures), document)


def put_report(report: Report, target: Location, page: str = REPORT_PAGE, data: str = REPORT_DATA) -> str:
    """Put a report into a folder, in place of the one that is there; returns the page's path.

    Raises:
        Exception: it cannot be written; every file system has its own errors.
    """
    make_folder(target, target.path)
    put_text(target, f"{target.path}/{data}", json.dumps(report.document, indent=1, allow_nan=False) + "\n")
    put_text(target, f"{target.path}/{page}", report.page)
    return f"{target.name.rstrip('/')}/{page}"

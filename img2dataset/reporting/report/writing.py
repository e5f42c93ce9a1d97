"""Reports made and put into their folder. Called by the api at the end of a run, and by the command.

In: a location. Out: ``report.html`` and ``report.json``, each whole under its name.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import REPORT_DATA, REPORT_PAGE, finished_names
from img2dataset.reporting.report.document import report_document
from img2dataset.reporting.report.gathering import Gathered, gather
from img2dataset.reporting.report.page import report_page
from img2dataset.reporting.report.sample import sample_images
from img2dataset.reporting.report.thumbnails import Thumbnails
from img2dataset.shown_names import shown_name
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.notes import read_note
from img2dataset.storage.putting import put_text

logger = logging.getLogger("img2dataset")

# What files of this program have near their beginning.
_SIGN_OF_PAGE, _SIGN_OF_DATA, _START_BYTES = (
    b'name="generator" content="img2dataset"',
    b'"report_version"',
    2000,
)


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it is put: a page, and its document."""

    page: str
    document: dict[str, Any]


def report_of_run(location: Location, anew: bool) -> str | None:
    """Make and put the report of a folder when a run in it has ended.

    Args:
        location: of the folder.
        anew: whether its report is no longer true; else one is made only if there is none, or if it is of
            fewer shards than are there now: those of several ranks each see the others' shards.

    Returns:
        The path of the page, the earlier one's too; None if there is nothing to tell of.

    Raises:
        Exception: the folder cannot be read or written to; every file system has its own errors.
    """
    if not anew and _is_of_all_shards(location):
        return page_path(location, REPORT_PAGE)
    with _thumbnails(logger.debug) as pictures:
        gathered = gather(location)
        return None if gathered.is_of_no_run else put_report(report_of(gathered, pictures), location)


def _is_of_all_shards(location: Location) -> bool:
    names = names_in(location, location.path)
    if not {REPORT_PAGE, REPORT_DATA} <= set(names):
        return False
    try:
        document = json.loads(read_note(location, REPORT_DATA) or "")
        return bool(document["read"]["shards_done"] == len(finished_names(names)))
    except (ValueError, KeyError, TypeError, RecursionError):  # it is no report, or broken
        return False


def _refuse_anothers(target: Location, name: str, sign: bytes) -> None:
    try:
        start = target.tried(
            lambda: target.file_system.cat_file(f"{target.path}/{name}", start=0, end=_START_BYTES)
        )
    except FileNotFoundError:
        return
    if sign not in start:
        raise OutputError(f"{name} is there, and is not img2dataset's: it stays")


def page_path(location: Location, page: str) -> str:
    """The page in a folder, as the folder was named, without what is secret in that."""
    return f"{shown_name(location.name).rstrip('/')}/{page}"


def make_report(gathered: Gathered, on_problem: Callable[[str], None]) -> Report:
    """The report of what was gathered; ``on_problem`` is told what cannot be shown."""
    with _thumbnails(on_problem) as pictures:
        return report_of(gathered, pictures, on_problem)


def report_of(
    gathered: Gathered, pictures: Thumbnails | None, on_problem: Callable[[str], None] = logger.debug
) -> Report:
    """The report of what was gathered, without images where nothing can make thumbnails."""
    sample = sample_images(gathered.folder, gathered.with_metadata, on_problem)
    document = report_document(gathered, sample)
    made = pictures.of([image.image for image in sample]) if pictures is not None else []
    return Report(report_page(document, made), document)


@contextlib.contextmanager
def _thumbnails(on_problem: Callable[[str], None]) -> Iterator[Thumbnails | None]:
    with contextlib.ExitStack() as stack:
        pictures = None
        try:
            pictures = stack.enter_context(Thumbnails())
        except (OSError, RuntimeError) as error:  # no process can be started
            on_problem(f"no images can be shown: {one_line(error)}")
        yield pictures


def put_report(report: Report, target: Location, page: str = REPORT_PAGE, data: str = REPORT_DATA) -> str:
    """Put a report into a folder, in place of the one that is there; returns the page's path.

    Raises:
        OutputError: a file of the name is there that this program has not made.
        Exception: it cannot be written; every file system has its own errors.
    """
    if not target.file_system.exists(target.path):
        make_folder(target, target.path)
    for name, sign in ((page, _SIGN_OF_PAGE), (data, _SIGN_OF_DATA)):
        _refuse_anothers(target, name, sign)
    # The document last: where it is of all shards, a later run takes the page for current too.
    put_text(target, f"{target.path}/{page}", report.page)
    put_text(target, f"{target.path}/{data}", json.dumps(report.document, indent=1, allow_nan=False) + "\n")
    return page_path(target, page)

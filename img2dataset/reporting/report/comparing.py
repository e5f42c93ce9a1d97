"""Two folders of the same list held against each other: what rotted, came back, changed its bytes.

In: two locations. Out: a ``Report`` whose document is of ``comparison.json``. Called by the command.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from img2dataset.errors import OutputError, one_line
from img2dataset.reporting.report.compared_rows import ComparedRows, read_rows, values_at
from img2dataset.reporting.report.comparison_page import comparison_page
from img2dataset.reporting.report.document import REPORT_VERSION, cut
from img2dataset.reporting.report.folder import Folder, open_folder
from img2dataset.reporting.report.writing import Report
from img2dataset.shown_names import shown_name
from img2dataset.storage.locations import Location
from img2dataset.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_EXAMPLES, MOST_MESSAGES = 8, 40


def compare(before: Location, after: Location, by: str, on_problem: Callable[[str], None]) -> Report:
    """What became of the rows of one folder in another.

    Args:
        before: the output folder of the earlier run.
        after: that of the later one.
        by: what a row is known again by, ``url`` or ``key``.
        on_problem: told what cannot be read.

    Raises:
        OutputError: a folder cannot be read, or has no rows that can be known again.
    """
    sides = []
    for location in (before, after):
        folder = _opened(location)
        sides.append(_Side(folder, read_rows(folder, by, on_problem)))
    document = _document(sides[0], sides[1], by)
    return Report(comparison_page(document), document)


@dataclass(frozen=True, slots=True)
class _Side:
    folder: Folder
    rows: ComparedRows


def _opened(location: Location) -> Folder:
    try:
        return open_folder(location)
    except FileNotFoundError as error:
        raise OutputError(f"{location.name!r} does not exist; name the output folder of a run") from error
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"{location.name!r} cannot be read: {one_line(error)}") from error


def _document(before: _Side, after: _Side, by: str) -> dict[str, Any]:
    import numpy as np

    first, second = _firsts(before.rows), _firsts(after.rows)
    _, in_first, in_second = np.intersect1d(
        before.rows.ids[first], after.rows.ids[second], assume_unique=True, return_indices=True
    )
    here, there = first[in_first], second[in_second]
    was, is_ = before.rows.successes[here], after.rows.successes[there]
    rotted, back, kept = was & ~is_, ~was & is_, was & is_
    hashes, hashes_after = before.rows.hashes[here], after.rows.hashes[there]
    same_column = before.rows.hash_column is not None and before.rows.hash_column == after.rows.hash_column
    compared = kept & (hashes != 0) & (hashes_after != 0) if same_column else np.zeros_like(kept)
    changed = compared & (hashes != hashes_after)
    return {
        "report_version": REPORT_VERSION,
        "made": round(time.time(), 3),
        "img2dataset": __version__,
        "by": by,
        "before": _side_document(before, len(first)),
        "after": _side_document(after, len(second)),
        "rows_in_both": len(here),
        "only_before": len(first) - len(here),
        "only_after": len(second) - len(here),
        "kept": int(kept.sum()),
        "failed_in_both": int((~was & ~is_).sum()),
        "rotted": _group(after, there[rotted], after, by),
        "came_back": _group(after, there[back], before, by, here[back]),
        "changed": {
            "hash_column": before.rows.hash_column if same_column else None,
            "compared": int(compared.sum()),
            "rows": int(changed.sum()),
            "examples": _examples(after, there[changed], by),
        },
    }


def _firsts(rows: ComparedRows) -> NDArray[np.int64]:
    """A row for each id: of several an image, if one is."""
    import numpy as np

    order = np.lexsort((~rows.successes, rows.ids))
    ids = rows.ids[order]
    found: NDArray[np.int64] = order[np.append(True, ids[1:] != ids[:-1])]
    known: NDArray[np.int64] = found[rows.ids[found] != 0]
    return known


def _side_document(side: _Side, different: int) -> dict[str, Any]:
    return {
        "output_folder": cut(shown_name(side.folder.location.name)),
        "rows": len(side.rows),
        "different_rows": different,
        "successes": int(side.rows.successes.sum()),
    }


def _group(
    side: _Side,
    positions: NDArray[np.int64],
    reasons: _Side,
    by: str,
    reason_positions: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Rows that have changed sides: how many, why they fail or failed, and some of them."""
    of = reasons.rows.messages[positions if reason_positions is None else reason_positions]
    codes = Counter(of.tolist())
    return {
        "rows": len(positions),
        "messages": {cut(reasons.rows.texts[code]): rows for code, rows in codes.most_common(MOST_MESSAGES)},
        "examples": _examples(side, positions, by),
    }


def _examples(side: _Side, positions: NDArray[np.int64], by: str) -> list[str]:
    """A few of the rows, from all over the folder."""
    step = max(1, len(positions) // MOST_EXAMPLES)
    chosen = sorted(positions[::step][:MOST_EXAMPLES].tolist())
    return [cut(value) for value in values_at(side.folder, side.rows, chosen, by)]

"""The rows of a shard that have an image, and what was kept of what their pictures say themselves.

In: batches of metadata. Out: key, URL and cell of the column ``consent`` of each, and the signals of a cell
by which the picture refuses training.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from img2dataset.failures import OPT_OUT_C2PA, OPT_OUT_IPTC
from img2dataset.formats import consent_ledger
from img2dataset.formats.dataset import CONSENT_COLUMN
from img2dataset.reporting.report.columns import texts_of
from img2dataset.types import SUCCESS, ConsentSignal

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED_COLUMNS = ("key", "url", "status")
COLUMNS_OF_ROWS = (*NEEDED_COLUMNS, CONSENT_COLUMN)
# The failures of what pictures say, by the kind of signal.
OPT_OUT_OF_PICTURES = {"iptc-data-mining": OPT_OUT_IPTC, "c2pa": OPT_OUT_C2PA}


def rows_with_image(batch: pa.RecordBatch) -> Iterator[tuple[str, str, str | None]]:
    """Key, URL and cell of the column ``consent`` of each row with an image.

    Args:
        batch: with ``NEEDED_COLUMNS``, and those of ``COLUMNS_OF_ROWS`` that the shard has.
    """
    columns = [texts_of(batch[name]).to_pylist() for name in NEEDED_COLUMNS]
    ledger = consent_ledger.position_in(batch.schema.names)
    cells = texts_of(batch.column(ledger)).to_pylist() if ledger is not None else [None] * batch.num_rows
    for key, url, status, cell in zip(*columns, cells, strict=True):
        if status == SUCCESS and key and url:
            yield key, url, cell


@functools.lru_cache(4096)
def refusals_in_picture(cell: str) -> tuple[ConsentSignal, ...]:
    """The signals of a cell by which a picture refuses training; conditions are a no, as in a download."""
    try:
        signals = consent_ledger.of_text(cell)
    except ValueError:
        return ()
    return tuple(
        dataclasses.replace(each, is_honoured=True)
        for each in signals
        if each.signal in OPT_OUT_OF_PICTURES and each.says in ("no", "conditions")
    )

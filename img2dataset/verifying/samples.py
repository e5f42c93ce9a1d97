"""The samples of one shard's data, held one by one against the metadata.

In: the shard's rows, then each sample as a format's reader finds it. Out: findings. Called by ``checking``
for formats whose data is a file of its own; parquet has its images in its rows (``images_in_table``).
"""

from __future__ import annotations

import math
import struct
from typing import Any

from img2dataset.formats.findings import Findings
from img2dataset.formats.format import StoredSample
from img2dataset.verifying.images import ImageCheck
from img2dataset.verifying.metadata import ShardRows

_FLOAT_32 = struct.Struct("<f")
_NOTHING = (None, "")


class SampleComparison:
    """Holds the samples of one shard against its rows.

    Args:
        rows: the shard's metadata.
        data_name: of the file or folder, for messages.
        image_check: looks at images; None to leave that.
        findings: take what is wrong.
        has_short_floats: the data repeat floats in 32 bits, as a tfrecord does.
    """

    def __init__(
        self,
        rows: ShardRows,
        data_name: str,
        image_check: ImageCheck | None,
        findings: Findings,
        *,
        has_short_floats: bool = False,
    ) -> None:
        self._rows = rows
        self._data = data_name
        self._image_check = image_check
        self._findings = findings
        self._has_short_floats = has_short_floats
        self._seen: set[str] = set()

    @property
    def wants_images(self) -> bool:
        """Whether samples need their image's contents."""
        return self._image_check is not None

    def add(self, sample: StoredSample) -> None:
        """Compare one sample."""
        if sample.key in self._seen:
            self._findings.add(f"sample twice in {self._data}", sample.key)
            return
        row = self._rows.place_of.get(sample.key)
        if row is None:
            failed = self._rows.failed(sample.key)
            reason = "of a row that failed" if failed else "that is not in the metadata"
            self._findings.add(f"{self._data} has a sample {reason}", sample.key)
            return
        self._seen.add(sample.key)
        self._compare_image(sample, row)
        self._compare_caption(sample, row)
        self._compare_metadata(sample, row)

    def finish(self) -> None:
        """Name the successes that have no sample."""
        for key in self._rows.place_of:
            if key not in self._seen:
                self._findings.add(f"{self._data} lacks the sample of a success", key)

    def _compare_image(self, sample: StoredSample, row: int) -> None:
        if sample.image_bytes is None:
            self._findings.add(f"{self._data} lacks the image of", sample.key)
        elif sample.image_bytes == 0 and self._rows.was_decoded(row):
            self._findings.add("empty image", sample.key)
        elif self._image_check is not None and sample.image is not None:
            self._image_check.look_at(sample.image, self._rows, row, sample.key)

    def _compare_caption(self, sample: StoredSample, row: int) -> None:
        if not self._rows.has_captions:
            return
        if sample.caption is None:
            self._findings.add(f"{self._data} lacks the caption of", sample.key)
        elif "caption" in self._rows.values:
            caption = self._rows.values["caption"][row]
            if sample.caption != ("" if caption is None else str(caption)).encode():
                self._findings.add("another caption than in the metadata", sample.key)

    def _compare_metadata(self, sample: StoredSample, row: int) -> None:
        if sample.repeated is None:
            self._findings.add(f"{self._data} lacks the metadata of", sample.key)
            return
        for name, values in self._rows.values.items():
            if not _agree(values[row], sample.repeated.get(name), self._has_short_floats):
                self._findings.add(f"{self._data} has another {name} than the metadata", sample.key)


def _agree(recorded: Any, repeated: Any, has_short_floats: bool) -> bool:
    """Whether two files say the same; NaN and infinity are null in JSON, and null is empty in a tfrecord."""
    if isinstance(recorded, float):
        if has_short_floats:
            recorded = _as_float_32(recorded)
        if not math.isfinite(recorded):
            return repeated is None or (isinstance(repeated, float) and not math.isfinite(repeated))
        return isinstance(repeated, (int, float)) and recorded == repeated
    return recorded == repeated or (recorded in _NOTHING and repeated in _NOTHING)


def _as_float_32(value: float) -> float:
    try:
        short: float = _FLOAT_32.unpack(_FLOAT_32.pack(value))[0]
        return short
    except OverflowError:
        return math.inf

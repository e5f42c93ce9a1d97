"""Where shards lie in the list, kept on the local disk so that the list is not counted through again.

In: ``ShardSpec`` values, in the order of the list. Out: the same, as often as asked. Called by ``share``.
They are packed, since each says much of what the one before says.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterator

from img2dataset.types import PlannedShard, ShardSpec, spec_of_json


class KeptSpecs:
    """Specs in a nameless file, which goes with this object. Written first, then read."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="img2dataset-specs-")  # noqa: SIM115
        self._writer: gzip.GzipFile | None = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=3)

    def keep(self, spec: ShardSpec) -> None:
        """One more; before the first ``read``.

        Raises:
            OSError: the disk is full.
        """
        assert self._writer is not None
        self._writer.write(f"{spec.shard_id} {spec.to_json()}\n".encode())

    def read(self, leave_out: Callable[[int], bool]) -> Iterator[PlannedShard]:
        """All that were kept, but those left out."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._file.seek(0)
        with gzip.GzipFile(fileobj=self._file, mode="rb") as lines:
            for line in lines:
                shard_id, _, text = line.partition(b" ")
                if not leave_out(int(shard_id)):
                    yield spec_of_json(text.decode())

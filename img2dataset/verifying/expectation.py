"""What the record in the output folder says each shard should be.

In: the text of ``.img2dataset_manifest``, if there is one. Out: for a shard's number, its format, rows and
kind of images; and how many shards there should be. Called by ``verification``.

Without a record (1.47.0 kept none) nothing is expected but what the shard itself says, and whether the last
shards are missing cannot be known.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from img2dataset.manifest import MODES_THAT_ADD, Manifest, RunRecord, command_line


@dataclass(frozen=True, slots=True)
class ShardExpectation:
    """What is known of a shard beforehand; None for what is not.

    ``originals`` is True where every image is stored as it was downloaded, False where none is.
    """

    output_format: str | None = None
    encode_format: str | None = None
    rows: int | None = None
    rows_per_shard: int | None = None
    originals: bool | None = None


class FolderRecord:
    """The runs that made a folder.

    Args:
        runs: of the manifest, in its order; none without a manifest.
    """

    def __init__(self, runs: list[RunRecord]) -> None:
        starts = [run.first_shard_id for run in runs]
        # Each run goes on behind the last, unless one was allowed to mix: then a shard can be of either.
        self.is_mixed = any(map(_mixes, runs, runs[1:]))
        named = (run.options.get("output_format") for run in runs)
        self.output_formats = {name for name in named if isinstance(name, str)}
        self._runs = [] if self.is_mixed else runs
        self._starts = [] if self.is_mixed else starts
        self._gaps = [frozenset(run.gaps) for run in self._runs]
        self._files = [_shards_of_files(run) for run in self._runs]

    @classmethod
    def from_text(cls, text: str) -> FolderRecord:
        """Read the record.

        Raises:
            ValueError: it cannot be understood.
        """
        return cls(Manifest.from_text(text).runs)

    @property
    def expected_end(self) -> int:
        """One more than the highest number that a shard must have, as far as that is known; else 0."""
        return max((shards[-1][1] for shards in self._files if shards), default=0)

    @property
    def is_complete(self) -> bool:
        """Whether ``expected_end`` is also a bound: every file of the last run has been read to its end."""
        if not self._runs or self._runs[-1].mode == "new_only":
            return False
        last = self._runs[-1]
        all_known = bool(last.files) and all(_rows(file) is not None for file in last.files)
        return all_known

    def of(self, shard_id: int) -> ShardExpectation:
        """What is known of one shard."""
        position = self._position(shard_id)
        if position is None:
            return ShardExpectation()
        options = self._runs[position].options
        rows_per_shard = options.get("number_sample_per_shard")
        return ShardExpectation(
            output_format=options.get("output_format"),
            encode_format=options.get("encode_format"),
            rows=_rows_of_shard(self._files[position], shard_id, rows_per_shard),
            rows_per_shard=rows_per_shard,
            originals=_originals(options),
        )

    def run_of(self, shard_id: int) -> RunRecord | None:
        """The run that made, or is to make, a shard; None where that is not known."""
        position = self._position(shard_id)
        return None if position is None else self._runs[position]

    def commands_for(self, shard_ids: Iterable[int], output_folder: str) -> list[str]:
        """The commands that make these shards again; none where the record does not say.

        Where several lists went into the folder, what is missing is added by ``new_only``, whatever has
        become of the lists meanwhile; else the shard is made in its place by the command that made it.
        """
        runs = {id(run): run for run in map(self.run_of, shard_ids) if run is not None}
        mode = (
            "new_only" if len(self._runs) > 1 or any(run.mode == "new_only" for run in self._runs) else None
        )
        return [command_line(run, output_folder, mode) for run in runs.values()]

    def _position(self, shard_id: int) -> int | None:
        for position in range(len(self._runs) - 1, -1, -1):
            if shard_id in self._gaps[position]:
                return position
        position = bisect.bisect_right(self._starts, shard_id) - 1
        return None if position < 0 else position


def _mixes(earlier: RunRecord, later: RunRecord) -> bool:
    """Whether the later run may have made shards among the earlier one's."""
    if later.first_shard_id == earlier.first_shard_id:
        return later.mode not in MODES_THAT_ADD  # or the earlier one made none
    return later.first_shard_id < earlier.first_shard_id


def _originals(options: dict[str, Any]) -> bool | None:
    if options.get("disable_all_reencoding"):
        return True
    return None if options.get("skip_reencode", True) else False


def _rows(file: dict[str, Any]) -> int | None:
    rows = file.get("rows")
    return rows if isinstance(rows, int) else None


def _shards_of_files(run: RunRecord) -> list[tuple[int, int, int]]:
    """First shard, shard after the last, and rows of each file of the list, up to the first unknown one."""
    rows_per_shard = run.options.get("number_sample_per_shard")
    if run.mode == "new_only":
        return []  # how many of the list's rows were new is not in the record
    if not isinstance(rows_per_shard, int) or rows_per_shard < 1:
        return []
    found, shard_id = [], run.first_shard_id
    for file in run.files:
        rows = _rows(file)
        if rows is None:
            break
        end = shard_id + -(-rows // rows_per_shard)
        found.append((shard_id, end, rows))
        shard_id = end
    return found


def _rows_of_shard(
    files: list[tuple[int, int, int]], shard_id: int, rows_per_shard: int | None
) -> int | None:
    position = bisect.bisect_right(files, shard_id, key=lambda file: file[1])
    if rows_per_shard is None or position == len(files):
        return None
    first, end, rows = files[position]
    return rows_per_shard if shard_id < end - 1 else rows - (end - 1 - first) * rows_per_shard

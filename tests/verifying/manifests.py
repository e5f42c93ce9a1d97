"""Records of runs, as a run leaves them in its output folder."""

from __future__ import annotations

from typing import Any

from img2dataset.manifest import Manifest, RunRecord

OPTIONS: dict[str, Any] = {
    "output_format": "webdataset",
    "encode_format": "jpg",
    "number_sample_per_shard": 10,
    "skip_reencode": False,
    "disable_all_reencoding": False,
}


def record(
    rows: list[int | None], first_shard_id: int = 0, mode: str = "incremental", **options: Any
) -> RunRecord:
    """A run over files of these numbers of rows; None for one that has not been read to its end."""
    files = [
        {"name": f"{number}.txt", "size": 1, "modified": 1.0, "edges": None, "rows": count}
        for number, count in enumerate(rows)
    ]
    return RunRecord(first_shard_id=first_shard_id, mode=mode, options=OPTIONS | options, files=files)


def manifest_text(rows: list[int | None], **options: Any) -> str:
    return Manifest([record(rows, **options)]).to_text()

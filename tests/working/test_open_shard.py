"""What one shard says of its rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from img2dataset.errors import OutputError
from img2dataset.options import resolve
from img2dataset.settings import work_settings
from img2dataset.types import Shard
from img2dataset.working.open_shard import OpenShard


def test_a_shard_that_cannot_be_opened_leaves_no_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "00000_stats.json").write_text("{")
    options = {"url_list": "unused", "output_folder": str(tmp_path), "incremental_mode": "retry_failed"}
    shard = Shard(0, pa.table({"url": ["http://127.0.0.1/a.jpg"]}))
    with pytest.raises(OutputError, match=r"00000_stats\.json cannot be read"):
        OpenShard(shard, work_settings(resolve(options)), lambda status: None)
    assert [path.name for path in tmp_path.iterdir()] == ["00000_stats.json"]

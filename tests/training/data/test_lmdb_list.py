"""A database is read by a DataLoader's workers, however they are started."""

from __future__ import annotations

import json
from pathlib import Path

import lmdb
import pytest
from torch.utils.data import ConcatDataset, DataLoader

from img2dataset.training import MetadataDataset


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_a_database_that_their_parent_has_read(tmp_path: Path, start: str) -> None:
    with lmdb.open(str(tmp_path / "a.lmdb"), map_size=1 << 24) as database, database.begin(write=True) as put:
        for n in range(12):
            put.put(b"%04d" % n, json.dumps({"image": None, "caption": f"row {n}"}).encode())
    dataset = MetadataDataset(tmp_path / "a.lmdb")
    twice = ConcatDataset([dataset, MetadataDataset(tmp_path / "a.lmdb")])
    assert dataset[3]["caption"] == "row 3"
    loader = DataLoader(
        twice, None, num_workers=2, multiprocessing_context=start, persistent_workers=True, timeout=120
    )
    for _ in range(2):
        assert [row["caption"] for row in loader] == [f"row {n}" for n in range(12)] * 2
    assert dataset[3]["caption"] == "row 3"

"""One engine over shards of a server, as its tests use it: without a whole run around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from img2dataset.distributing import Engine, create_engine, engine_settings
from img2dataset.options import resolve
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.stopping import StopRequest
from img2dataset.types import PlannedShard, RowsSpec, Shard, ShardReport, Status
from img2dataset.working import WorkSettings
from img2dataset.working.output_folder import OutputFolder
from tests.pictures import photograph
from tests.program.runs import Dataset, read_dataset
from tests.servers import ImageServer

# What some engines must be told, by their names.
ENGINE_OPTIONS: dict[str, dict[str, object]] = {"ranks": {"rank": 0, "world_size": 1}}
ROWS = 20


class Run:
    """One engine over shards of a server, into a folder."""

    def __init__(self, name: str, server: ImageServer, folder: Path):
        self.stop = StopRequest()
        self.progress: list[Counter[Status]] = []
        self.folder = folder
        self._url = server.put("/engines/a.jpg", photograph(160, 120))
        folder.mkdir()
        options: dict[str, object] = {"output_folder": str(folder), "output_format": "webdataset"}
        options |= {"distributor": name, **ENGINE_OPTIONS.get(name, {})}
        rows = {"number_sample_per_shard": ROWS, "image_size": 32, "processes_count": 2, "timeout": 60}
        self._options: dict[str, object] = {**options, **rows, "subjob_size": 4}
        self._use_list("unused")

    def dataset(self) -> Dataset:
        """What lies in the folder once the run has ended."""
        OutputFolder(self.settings.write).remove_own_temporaries()
        return read_dataset(self.folder)

    def write_list(self, path: Path, shards: int) -> None:
        """A list of so many shards; ``plan`` says where they lie."""
        path.write_text("".join(f"{self._url}?{row}\n" for row in range(shards * ROWS)))
        self._use_list(str(path))

    def plan(self) -> Iterator[PlannedShard]:
        return open_reader(self._checked, ROWS).plan()

    def _use_list(self, url_list: str) -> None:
        self._checked = resolve({**self._options, "url_list": url_list})
        self.settings: WorkSettings = work_settings(self._checked)
        self.engine: Engine = create_engine(engine_settings(self._checked), self.progress.append, self.stop)

    def shard(self, number: int, *first: str) -> RowsSpec:
        urls = [*first, *(f"{self._url}?{number}-{n}" for n in range(ROWS - len(first)))]
        return RowsSpec(Shard(number, pa.table({"url": urls})))

    def reports(self, shards: Iterable[PlannedShard]) -> dict[int, ShardReport]:
        found = list(self.engine.run(shards, self.settings))
        assert len({report.shard_id for report in found}) == len(found)
        return {report.shard_id: report for report in found}

"""What is measured: the scenarios, the settings they run with, and the URL lists. Used by ``run.py``."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.corpus import PHOTOGRAPHS_3000, WEB, Recipe
from benchmarks.servers import ADDRESSES
from benchmarks.web_process import Behaviour, addresses

ServerName = Literal["http", "https", "web"]
NOT_FOUND_SHARE = 0.08
BEHAVIOUR = Behaviour()


@dataclass(frozen=True)
class Scenario:
    """One row of the results.

    ``rows`` of the list, cut into shards of ``rows_per_shard``. ``threads`` a process at equal settings.
    Rows are chosen so that start-up is a small part of this project's time on two cores, and 1.47.0 takes
    less than two minutes.
    """

    name: str
    title: str
    server: ServerName
    recipe: Recipe
    rows: int
    rows_per_shard: int
    threads: int
    with_daft: bool = False

    def quick(self) -> Scenario:
        """The same with a fifth of the rows: a look, not a measurement."""
        return self.with_rows(self.rows // 5)

    def with_rows(self, rows: int) -> Scenario:
        """The same with another number of rows, in as many shards."""
        shards = max(1, self.rows // self.rows_per_shard)
        return replace(self, rows=rows, rows_per_shard=-(-rows // shards))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("http", "http", "http", WEB, 4000, 500, 64, with_daft=True),
        Scenario(
            "https", "https, each a new connection to one of 200 addresses", "https", WEB, 4000, 500, 64
        ),
        Scenario("web", "simulated web", "web", WEB, 10000, 1000, 256),
        Scenario(
            "3000px", "3000-px photographs, http", "http", PHOTOGRAPHS_3000, 1200, 150, 64, with_daft=True
        ),
    )
}


@dataclass(frozen=True)
class Setting:
    """How the contenders are run: ``equal`` gives both the same processes and threads, ``defaults`` none."""

    name: Literal["equal", "defaults"]
    processes: int

    def arguments(self, scenario: Scenario) -> list[str]:
        """The options of the command line that this setting adds."""
        if self.name == "defaults":
            return []
        return ["--processes_count", str(self.processes), "--thread_count", str(scenario.threads)]


def urls(scenario: Scenario, files: list[str], port: int) -> list[str]:
    """The URLs of a scenario's list, the same in every run.

    Args:
        scenario: its server and rows.
        files: the names in the corpus, used over and over; a query makes every URL a different one.
        port: where its server listens.
    """
    rng = random.Random(scenario.name)
    if scenario.server == "web":
        hosts = addresses(BEHAVIOUR)
        return [_web_url(rng, hosts, files, port, row) for row in range(scenario.rows)]
    return [
        f"{scenario.server}://{ADDRESSES[row % len(ADDRESSES)]}:{port}/{files[row % len(files)]}?{row}"
        for row in range(scenario.rows)
    ]


def _web_url(rng: random.Random, hosts: list[str], files: list[str], port: int, row: int) -> str:
    missing = rng.random() < NOT_FOUND_SHARE
    name = "missing.jpg" if missing else files[row % len(files)]
    return f"http://{rng.choice(hosts)}:{port}/{name}?{row}"


def write_list(path: Path, addresses_of_rows: list[str]) -> None:
    """Write a URL list with captions as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    captions = [f"photograph number {row}" for row in range(len(addresses_of_rows))]
    columns: dict[str, Any] = {"url": addresses_of_rows, "caption": captions}
    pq.write_table(pa.table(columns), path)

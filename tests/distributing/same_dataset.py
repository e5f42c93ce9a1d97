"""One list with the web's faults, and what its dataset must be, whoever makes it. For tests of engines."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from img2dataset import download
from img2dataset.reporting.summary import RunSummary
from tests.program.runs import Dataset, read_dataset, serve_photographs
from tests.servers import ImageServer

ROWS_A_SHARD = 20
# The photographs are on several, as no host is to have too many requests at once.
HOSTS = 8


class FaultyList:
    """A list of photographs among what goes wrong on the web, as text and, not to be entered, as gzip.

    Args:
        server: serves it.
        folder: of the lists.
        rows: how many.
        slow_s: seconds that each tenth photograph takes.
    """

    def __init__(self, server: ImageServer, folder: Path, rows: int, slow_s: float = 0.0) -> None:
        photographs = serve_photographs(server, folder="clusters")
        paths = [address.partition("/clusters/")[2] for address in photographs]
        broken = server.put("/clusters/broken.jpg", b"\xff\xd8\xff\xe0 no image")
        faults = [
            server.url("/status/404"),
            server.url("/status/500"),
            broken,
            server.url(f"/redirect?to={photographs[0]}"),
            server.url("/redirect-loop"),
            "refused",
            "not a url",
        ]
        urls = [
            server.url(f"/clusters/{paths[row % len(paths)]}?{row}", host=1 + row // 10 % HOSTS)
            for row in range(rows)
        ]
        for row in range(5, rows, 10):
            urls[row] = faults[row // 10 % len(faults)]
            if urls[row] == "refused":
                # Each another machine: of one that has refused once, it may be said in other words.
                urls[row] = f"http://127.1.{row // 10 // 250}.{row // 10 % 250 + 1}:1/refused.jpg"
        for row in range(0, rows, 10):
            if slow_s:
                urls[row] = server.url(f"/slow?seconds={slow_s}&row={row}")
        urls[3] = server.url("/hang-before-headers", host=16)
        self.rows = rows
        self.text = folder / "list.txt"
        self.text.write_text("\n".join(urls))
        self.gzip = folder / "list.txt.gz"
        self.gzip.write_bytes(gzip.compress(self.text.read_bytes()))


def options_of(url_list: Path, folder: Path, **more: Any) -> dict[str, Any]:
    """The options of a run over a list, those given and the usual ones."""
    return {
        "url_list": str(url_list),
        "output_folder": str(folder),
        "input_format": "txt.gz" if url_list.suffix == ".gz" else "txt",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_A_SHARD,
        "image_size": 64,
        # A photograph that comes late on a busy machine would make two datasets differ.
        "timeout": 10,
        **more,
    }


def make(url_list: Path, folder: Path, **options: Any) -> tuple[RunSummary, Dataset]:
    """Make a dataset of a list, and read it."""
    summary = download(**options_of(url_list, folder, **options))
    return summary, read_dataset(folder)


def assert_same(made: Dataset, expected: Dataset) -> None:
    """The same shards, keys, metadata and pixels."""
    assert sorted(made.statistics) == sorted(expected.statistics)
    assert len(made.rows) == len(expected.rows)
    differing = [(row, other) for row, other in zip(made.rows, expected.rows, strict=True) if row != other]
    assert not differing, f"{len(differing)} rows differ, first {differing[:3]}"
    assert made.images.keys() == expected.images.keys()
    assert [key for key, image in made.images.items() if image != expected.images[key]] == []
    for shard, statistics in made.statistics.items():
        assert statistics["status_dict"] == expected.statistics[shard]["status_dict"]

"""The examples of frameworks do what they say, each in an environment that has its framework.

``make test-frameworks`` makes the environments.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.pictures import photograph
from tests.servers import ImageServer

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = REPOSITORY / ".venv" / "frameworks"
ROWS = 25

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Served:
    """A server with pictures, and how often each was asked for."""

    def __init__(self, server: ImageServer) -> None:
        self.paths = [f"/frameworks/{number}.jpg" for number in range(ROWS)]
        self.server = server
        self.urls = [
            server.put(path, photograph(90 + 10 * (number % 5), 100, seed=number))
            for number, path in enumerate(self.paths)
        ]

    def write_list(self, path: Path, columns: str) -> Path:
        lines = [columns, *(f"{url},picture {number}" for number, url in enumerate(self.urls))]
        path.write_text("\n".join(lines))
        return path

    def requests(self) -> list[int]:
        return [self.server.count(path) for path in self.paths]


@pytest.fixture
def served() -> Served:
    with ImageServer() as server:
        yield Served(server)


def said(framework: str, example: str, *words: object, launcher: list[str] | None = None) -> str:
    python = ENVIRONMENTS / framework / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{framework} has no environment; make test-frameworks makes it")
    done = subprocess.run(
        [
            str(python),
            *(launcher or []),
            str(REPOSITORY / "examples" / "frameworks" / example),
            *map(str, words),
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchdata_goes_on_in_the_middle_of_an_epoch(served: Served, tmp_path: Path) -> None:
    pairs = served.write_list(tmp_path / "pairs.csv", "url,caption")
    assert said("torchdata", "torchdata_stateful.py", pairs, tmp_path / "cache") == (
        "12 rows, then 13; each once: True\n"
    )
    assert served.requests() == [1] * ROWS


def test_lightning_learns(served: Served, tmp_path: Path) -> None:
    pairs = served.write_list(tmp_path / "pairs.csv", "url,caption")
    text = said("lightning", "lightning_module.py", pairs, tmp_path / "cache")
    steps, first, last = re.search(r"(\d+) steps, loss ([\d.]+) to ([\d.]+)", text).groups()
    assert int(steps) == 2 * 7
    assert float(last) < float(first)
    assert served.requests() == [1] * ROWS


@pytest.mark.parametrize("ranks", [1, 2])
def test_diffusers_and_accelerate_train_in_buckets(served: Served, tmp_path: Path, ranks: int) -> None:
    pairs = served.write_list(tmp_path / "pairs.csv", "url,caption")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    text = said(
        "diffusers",
        "diffusers_accelerate.py",
        pairs,
        tmp_path / "cache",
        launcher=launcher if ranks > 1 else None,
    )
    lines = sorted(line for line in text.splitlines() if line.startswith("rank"))
    assert [line[:6] for line in lines] == [f"rank {rank}" for rank in range(ranks)]
    assert len({line[6:] for line in lines}) == 1 or ranks > 1
    assert all("sizes [(" in line for line in lines)
    assert served.requests() == [1] * ROWS


def test_torchtune_makes_the_dataset_of_a_recipe(served: Served, tmp_path: Path) -> None:
    pairs = served.write_list(tmp_path / "pairs.csv", "url,caption")
    assert said("torchtune", "torchtune_config.py", pairs, tmp_path / "cache") == f"{ROWS} rows\n"
    assert served.requests() == [1] * ROWS


def test_diffsynth_loads_urls_among_its_operators(served: Served, tmp_path: Path) -> None:
    metadata = served.write_list(tmp_path / "metadata.csv", "image,prompt")
    text = said("diffsynth", "diffsynth_operators.py", metadata, tmp_path / "cache")
    assert text.splitlines()[-1] == f"{2 * ROWS} rows"
    assert served.requests() == [1] * ROWS

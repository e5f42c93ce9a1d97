"""The example trains over a served list: it learns, and its second epoch makes no request."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pictures import photograph
from tests.servers import ImageServer

REPOSITORY = Path(__file__).resolve().parents[2]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 50, 220), "yellow": (230, 220, 40)}
SHADES = {"plain": 0, "rough": 60, "grainy": 25}


# What is done without workers, two workers do each.
@pytest.mark.parametrize("way", [pytest.param("0 workers", marks=pytest.mark.slow), "2 workers", "2 ranks"])
def test_the_example_learns_and_downloads_each_image_once(
    image_server: ImageServer, tmp_path: Path, way: str
) -> None:
    chance = np.random.default_rng(0)
    paths, lines = [], ["url,caption"]
    for n in range(96):
        colour, shade = list(COLOURS)[n % 4], list(SHADES)[n % 3]
        pixels = np.array(COLOURS[colour]) + chance.normal(0, SHADES[shade] + 1, (80, 96, 3))
        picture = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(picture, "JPEG")
        paths.append(f"/example/{uuid.uuid4().hex}.jpg")
        lines.append(f'{image_server.put(paths[-1], picture.getvalue())},"a {shade}, {colour} picture"')
    (tmp_path / "pairs.csv").write_text("\n".join(lines))

    launcher = [sys.executable]
    if way == "2 ranks":
        launcher += ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
        launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    words = ["--list", str(tmp_path / "pairs.csv"), "--cache", str(tmp_path / "cache"), "--epochs", "2"]
    words += ["--workers", "2" if way == "2 workers" else "0", "--batch", "8"]
    run = subprocess.run(
        [*launcher, str(REPOSITORY / "examples" / "train_on_urls.py"), *words],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=REPOSITORY,
    )
    assert run.returncode == 0, run.stderr
    losses = [float(loss) for loss in re.findall(r"epoch \d: loss ([\d.]+)", run.stdout)]
    ranks = 2 if way == "2 ranks" else 1
    assert len(losses) == 2 * ranks
    assert max(losses[-ranks:]) < min(losses[:ranks])
    assert [image_server.count(path) for path in paths] == [1] * 96


PAGE = (REPOSITORY / "docs" / "training.md").read_text()
BLOCKS = [block.split("```")[0] for block in PAGE.split("```python\n")[1:]]


# Of the tables that say everything at a glance, each example.
EXAMPLES = [
    code
    for line in PAGE.split("## Everything at a glance")[1].splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
    for code in re.findall(r"`([^`]+)`", line.split(" | ", 1)[1])
]


def ran(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
    )


def test_the_first_lines_of_the_documentation_work(served, requests_of, tmp_path: Path) -> None:
    code = BLOCKS[0]
    assert len(code.splitlines()) <= 10
    urls = served(6)
    (tmp_path / "pairs.csv").write_text("\n".join(["url,caption", *(f"{url},a photograph" for url in urls)]))
    finished = ran(code + "\nprint(tuple(batch['img'].shape), set(batch['caption']) - {''})", tmp_path)
    assert finished.stdout.strip() == "(6, 3, 256, 256) {'a photograph'}", finished.stderr
    assert requests_of(urls) == 6


def test_what_the_documentation_says_of_small_sets_on_the_gpu_works(served, tmp_path: Path) -> None:
    (code,) = (block for block in BLOCKS if "DeviceDataset(" in block)
    (tmp_path / "pairs.csv").write_text("\n".join(["url,caption", *(f"{url},one" for url in served(5))]))
    finished = ran(code + "\nprint(tuple(batch['img'].shape), batch['img'].dtype)", tmp_path)
    assert finished.stdout.strip() == "(5, 3, 256, 256) torch.float32", finished.stderr


class Words:
    """A tokenizer as others have them."""

    pad_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


def error_of(call: Any) -> Any:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture(scope="module")
def described_folder(
    image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A folder with the files that the examples speak of, and the names that they use."""
    folder = tmp_path_factory.mktemp("described")
    url = image_server.put(f"/described/{uuid.uuid4().hex}", photograph(90, 60, 1))
    for name in ("sub", "photographs"):
        (folder / name).mkdir()
        for number, letter in enumerate("abc"):
            (folder / name / f"{letter}.png").write_bytes(photograph(70, 50, number, image_format="PNG"))
    (folder / "photographs" / "a.txt").write_text("a photograph")
    (folder / "pairs.csv").write_text(f"url,caption\n{url},one cat\nsub/b.png,two")
    row = {"image": url, "layers": ["sub/a.png", url], "caption": ["one", "another"]}
    (folder / "metadata.jsonl").write_text(json.dumps(row))
    names: dict[str, Any] = {"url": url, "absolute": str(folder / "sub" / "b.png"), "error_of": error_of}
    names |= {"as_array": np.asarray, "tokenizer": Words(), "rows": [{"photo": "a.png"}]}
    names["encode"] = lambda batch: {"mean": batch["img"].float().mean(dim=(2, 3))}
    names["captioner"] = lambda pictures: ["a picture"] * len(pictures)
    return folder, names


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_line_at_a_glance_runs(
    described_folder: tuple[Path, dict[str, Any]], example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, names = described_folder
    monkeypatch.chdir(folder)
    given: dict[str, Any] = {}
    exec("from img2dataset.training import *", given)
    assert eval(example, given | names) is not None, example


def test_the_tables_at_a_glance_have_something_of_everything() -> None:
    assert len(EXAMPLES) >= 30
    told = " ".join(EXAMPLES)
    assert [
        name for name in ("load_image", "cache=", "retries=", "tokenizer=", "preview(") if name not in told
    ] == []

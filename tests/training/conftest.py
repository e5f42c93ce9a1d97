"""What the training tests share: PyTorch or nothing, and lists served on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.pictures import photograph
from tests.servers import ImageServer

pytest.importorskip("torch", reason='the training extra is not installed: pip install ".[training]"')


@pytest.fixture
def served(image_server: ImageServer) -> Callable[..., list[str]]:
    """``served(n, width, height)``: URLs of ``n`` different photographs under a path of their own."""

    def serve(count: int, width: int = 96, height: int = 64, **options: Any) -> list[str]:
        folder = f"/training/{uuid4().hex}"
        return [
            image_server.put(f"{folder}/{n}.jpg", photograph(width, height, n, **options))
            for n in range(count)
        ]

    return serve


@pytest.fixture
def requests_of(image_server: ImageServer) -> Callable[[list[str]], int]:
    """``requests_of(urls)``: how many requests were made for these URLs so far."""

    def count(urls: list[str]) -> int:
        return sum(image_server.count("/" + url.split("/", 3)[3].partition("?")[0]) for url in urls)

    return count


@pytest.fixture
def pictures_folder(tmp_path: Path) -> Path:
    """A folder of six photographs, a caption beside all but the last."""
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for n in range(6):
        stem = folder / ("deeper" if n % 2 else "") / f"{n}"
        stem.with_suffix(".jpg").write_bytes(photograph(120 + 8 * n, 90, n))
        if n < 5:
            stem.with_suffix(".txt").write_text(f"picture {n}, a photograph\n")
    return folder

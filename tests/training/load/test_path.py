"""The local path of a source's file, as readers of videos need it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from img2dataset.errors import OptionError
from img2dataset.training import ImageLoader, ImageLoadError
from tests.servers import ImageServer


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "made.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (64, 48))
    for n in range(4):
        writer.write(np.full((48, 64, 3), 40 * n, np.uint8))
    writer.release()
    return path


def frames(path: str) -> int:
    capture = cv2.VideoCapture(path)
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


@pytest.mark.parametrize("blanks", ["{}", " {}\n"])
def test_a_video_is_downloaded_once_to_a_file(
    image_server: ImageServer, video: Path, tmp_path: Path, blanks: str
) -> None:
    path = f"/training/video{len(blanks)}.mp4"
    url = blanks.format(image_server.put(path, video.read_bytes()))
    first = ImageLoader(cache=tmp_path / "cache").path(url)
    assert first.endswith(".mp4")
    assert frames(first) == 4
    Path(first).write_bytes(b"altered")
    assert ImageLoader(cache=tmp_path / "cache").path(url) == first
    assert Path(first).read_bytes() == video.read_bytes()
    assert image_server.count(path) == 1


def test_a_path_is_itself_under_the_rules_of_the_loader(video: Path, tmp_path: Path) -> None:
    assert ImageLoader(tmp_path).path("made.mp4") == str(video)
    for loader, source in (
        (ImageLoader(allow_paths=False), str(video)),
        (ImageLoader(tmp_path / "inner", confine_to_base_path=True), "../made.mp4"),
        (ImageLoader(tmp_path), "missing.mp4"),
        (ImageLoader(tmp_path), b"bytes"),
    ):
        with pytest.raises(ImageLoadError):
            loader.path(source)


def test_what_has_no_file_is_told(image_server: ImageServer, tmp_path: Path) -> None:
    url = image_server.put("/training/page.mp4", b"<html>gone</html>")
    with pytest.raises(ImageLoadError, match="HTML"):
        ImageLoader(cache=tmp_path).path(url)
    with pytest.raises(OptionError, match="cache=FOLDER"):
        ImageLoader().path(url)
    with pytest.raises(ImageLoadError, match="not allowed"):
        ImageLoader(cache=tmp_path, allow_urls=False).path(url)

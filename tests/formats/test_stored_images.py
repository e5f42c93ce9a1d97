"""Images that lie whole in one file, read by key."""

from __future__ import annotations

import pickle
from pathlib import Path

from img2dataset.formats.stored_images import ImagesInFile


def test_a_copy_that_was_sent_to_another_process_opens_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(b"firstsecond")
    images = ImagesInFile(str(tmp_path / "images"), {"a": (0, 5), "b": (5, 6)})
    assert (images.read("a"), images.read("b"), images.read("c")) == (b"first", b"second", None)
    copy = pickle.loads(pickle.dumps(images))
    assert copy.read("b") == b"second"
    del copy
    assert images.read("a") == b"first"

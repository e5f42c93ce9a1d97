"""Tars are read with whatever version of webdataset is installed, and it is loaded for nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from img2dataset.errors import InputError
from img2dataset.training.data.tar_samples import TarReader
from tests.small.test_formats import Maker, make  # noqa: F401


def put_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))


def test_a_tar_of_another_tool_is_read_and_a_cut_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    put_tar(path, {f"./cats/{n}.{ending}": b"%d" % n for n in range(9) for ending in ("cls", "JPG", "txt")})
    samples = list(TarReader().samples(str(path)))
    assert [(sample.key, sample.image, sample.caption) for sample in samples] == [
        (f"cats/{n}", b"%d" % n, str(n)) for n in range(9)
    ]
    data = path.read_bytes()
    for size in (0, 100, 512, 1_024, 9 * 1_024, 27 * 1_024, 27 * 1_024 + 512):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match=r"a\.tar' is broken: it ends at byte"):
            list(TarReader().samples(str(path)))
    path.write_bytes(data[: 9 * 1_024] + b"!" + data[9 * 1_024 + 1 :])
    with pytest.raises(InputError, match="the header at byte 9216 is broken"):
        list(TarReader().samples(str(path)))


def test_a_tar_of_a_download_is_read_by_itself(make: Maker) -> None:  # noqa: F811
    folder = make(output_format="webdataset", image_size=64)
    samples = list(TarReader().samples(str(folder / "00000.tar")))
    assert len(samples) == 4
    for sample in samples:
        assert sample.metadata["key"] == sample.key
        assert (sample.metadata["width"], sample.metadata["height"]) == (64, 64)
        assert sample.image[:2] == b"\xff\xd8"


READS_A_TAR = """
import sys
import img2dataset.api, img2dataset.cli
from img2dataset.training.data.tar_samples import TarReader

# webdataset loads PyTorch where there is one: seconds.
assert not {"webdataset", "torch"} & set(sys.modules)
list(TarReader().samples(sys.argv[1]))
assert "webdataset" in sys.modules
"""


def test_webdataset_is_loaded_when_a_tar_is_read_and_not_before(tmp_path: Path) -> None:
    put_tar(tmp_path / "a.tar", {"0.jpg": b"1"})
    command = [sys.executable, "-c", READS_A_TAR, str(tmp_path / "a.tar")]
    subprocess.run(command, check=True, timeout=120)

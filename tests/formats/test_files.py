"""The folder of the files format, read again."""

from __future__ import annotations

from pathlib import Path

from img2dataset.errors import OutputError
from img2dataset.formats import output_format
from img2dataset.formats.findings import Findings
from img2dataset.formats.shard_files import ShardFiles
from img2dataset.storage.locations import locate


def test_a_stream_of_images_reads_images_alone(tmp_path: Path) -> None:
    folder = tmp_path / "00000"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"image")
    (folder / "0.json").write_bytes(b"no JSON")
    source = ShardFiles(locate(str(tmp_path), "folder", OutputError))
    findings = Findings()
    (sample,) = output_format("files").samples(
        source, "00000", columns=(), with_images=True, findings=findings
    )
    assert (sample.key, sample.image) == ("0", b"image")
    assert not findings.lines()

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from img2dataset.formats.tar import BLOCK, RECORD, archive_end, member_header, padding


def archive_of(members: dict[str, bytes]) -> bytes:
    parts = []
    for name, contents in members.items():
        parts += [member_header(name.encode(), len(contents)), contents, padding(len(contents))]
    body = b"".join(parts)
    return body + archive_end(len(body))


members = {f"{size:06d}.bin": bytes([size % 251]) * size for size in (0, 1, 511, 512, 513, 20_000, 100_000)}


def test_tarfile_reads_every_member_back() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(members))) as archive:
        read = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert read == members


def test_tar_lists_and_extracts_it_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive_of(members))
    for arguments in (["tvf"], ["xf"]):
        result = subprocess.run(
            ["tar", *arguments, "a.tar"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.bin")} == members


def test_a_header_is_the_one_that_tarfile_makes() -> None:
    info = tarfile.TarInfo("000000123.jpg")
    info.size, info.mode, info.mtime = 20_001, 0o444, 315_532_800
    expected = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    # tarfile leaves the device numbers, which a file has none of, at "0000000\0"; zeros there are as good
    # but change the checksum.
    expected[329:345] = bytes(16)
    expected[148:156] = b" " * 8
    expected[148:156] = b"%06o\0 " % sum(expected)
    assert member_header(b"000000123.jpg", 20_001) == bytes(expected)


@pytest.mark.parametrize("size", [0, 1, BLOCK, RECORD - 2 * BLOCK, RECORD - BLOCK, RECORD, 12_345 * BLOCK])
def test_an_archive_ends_with_two_empty_blocks_and_a_whole_record(size: int) -> None:
    end = archive_end(size)
    assert len(end) >= 2 * BLOCK
    assert set(end) == {0}
    assert (size + len(end)) % RECORD == 0


def test_what_does_not_fit_a_header_is_refused() -> None:
    assert member_header(b"n" * 100, 8**11 - 1)
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        member_header(b"n" * 101, 1)
    with pytest.raises(ValueError, match="8 GiB"):
        member_header(b"n", 8**11)

"""Finding samples in finished tar and tfrecord files, of any program that may have written them."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest

from img2dataset.formats.format import KeptSample
from img2dataset.formats.records import masked
from img2dataset.formats.tar import members
from img2dataset.formats.tfrecord import example_key, record_ranges
from img2dataset.formats.webdataset import sample_ranges
from tests.working.retaking import checksum
from tests.working.shards import settings_for, write_shard


def tar(path: Path, names: list[str], tar_format: int, size: int = 700, **fields: object) -> BinaryIO:
    """An open tar of members with these names."""
    with tarfile.open(path, "w", format=tar_format) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = size
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(b"x" * size))
    return open(path, "rb")


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "name", ["000000000.jpg", "a/b/000.jpg", "x" * 98 + "/" + "y" * 90 + ".jpg", "caf\u00e9.jpg"]
)
def test_members_are_found_as_tarfile_finds_them(tmp_path: Path, tar_format: int, name: str) -> None:
    file = tar(tmp_path / "a.tar", ["first.jpg", name, "last.jpg"], tar_format, mtime=1234.5)
    with tarfile.open(tmp_path / "a.tar") as archive:
        expected = [(member.name, member.size, member.offset) for member in archive]
        ends = [member.offset for member in archive.getmembers()[1:]]
    found = list(members(file))
    assert [(member.name, member.size, member.start) for member in found] == expected
    assert [member.end for member in found[:-1]] == ends


def test_a_size_given_in_base_256_is_read(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", ["a.jpg"], tarfile.USTAR_FORMAT).close()
    contents = bytearray((tmp_path / "a.tar").read_bytes())
    contents[124:136] = b"\x80" + (700).to_bytes(11, "big")
    contents[148:156] = b"%06o\0 " % (sum(contents[:148]) + sum(contents[156:512]) + 8 * 32)
    (tmp_path / "a.tar").write_bytes(contents)
    assert [m.size for m in members(io.BytesIO((tmp_path / "a.tar").read_bytes()))] == [700]


def test_neighbours_are_one_range_and_others_are_left_out(tmp_path: Path) -> None:
    names = [f"{key}.{ending}" for key in "abcd" for ending in ("jpg", "json")]
    file = tar(tmp_path / "a.tar", names, tarfile.USTAR_FORMAT)
    samples = {key: KeptSample(0, True) for key in "abd"}
    assert sample_ranges(file, samples, False) == [(0, 4 * 1536), (6 * 1536, 8 * 1536)]


def test_a_member_twice_is_an_error(tmp_path: Path) -> None:
    file = tar(tmp_path / "a.tar", ["a.jpg", "a.json", "a.jpg"], tarfile.USTAR_FORMAT)
    with pytest.raises(ValueError, match=r"a\.jpg twice"):
        sample_ranges(file, {"a": KeptSample(0, True)}, False)


@pytest.mark.parametrize("kept_bytes", [0, 100, 512, 1000, 1536, 1536 + 512])
def test_a_tar_that_is_cut_short_is_an_error(tmp_path: Path, kept_bytes: int) -> None:
    tar(tmp_path / "a.tar", ["a.jpg"], tarfile.USTAR_FORMAT).close()
    (tmp_path / "b.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:kept_bytes])
    with pytest.raises(ValueError, match=r"it ends at byte|end mark"):
        list(members(io.BytesIO((tmp_path / "b.tar").read_bytes())))


def test_what_is_no_tar_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"<html>" * 1000)
    with pytest.raises(ValueError, match="the header at byte 0 is broken"):
        list(members(io.BytesIO((tmp_path / "a.tar").read_bytes())))


def test_a_record_twice_or_without_a_key_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c")
    samples = write_shard(settings_for(tmp_path, "tfrecord"))
    contents = (tmp_path / "00000.tfrecord").read_bytes()
    with pytest.raises(ValueError, match=f"it holds {samples[0].key} twice"):
        ranges_of(tmp_path, contents + contents, {samples[0].key})
    with pytest.raises(ValueError, match="the sample nobody is missing"):
        ranges_of(tmp_path, contents, {"nobody"})
    for data in (b"", b"\x0a\x00", b"\x0a\xff", b"\xff\xff\xff", b"\x0a\x04\x0a\x02\x0a\x09"):
        with pytest.raises(ValueError, match="a record"):
            example_key(data)


def test_a_length_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c")
    length = struct.pack("<Q", 1 << 60)
    header = length + struct.pack("<I", masked(checksum(length)))
    with pytest.raises(ValueError, match="it ends at byte 12, in the middle of a record"):
        ranges_of(tmp_path, header, {"a"})


def ranges_of(folder: Path, contents: bytes, keys: set[str]) -> list[tuple[int, int]]:
    (folder / "other.tfrecord").write_bytes(contents)
    with open(folder / "other.tfrecord", "rb") as file:
        return record_ranges(file, keys, checksum)

"""A tar that passes: the same bytes, the members that its headers say, and no end that is none."""

from __future__ import annotations

import io
import random
import tarfile
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.formats.checked_tar import CheckedTar
from img2dataset.formats.findings import BrokenFile
from img2dataset.formats.tar import Member, archive_end, member_header, members


class Pieces:
    """A stream that gives some bytes at a time."""

    def __init__(self, data: bytes, seed: int, most: int) -> None:
        self._rest = io.BytesIO(data)
        self._chance = random.Random(seed)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, self._chance.randint(1, self._most)))


def tar_of(files: dict[str, bytes], form: int, folders: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        if folders:
            folder = tarfile.TarInfo("./")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            member.mtime = 0.5 if form == tarfile.PAX_FORMAT else 0  # type: ignore[assignment]
            archive.addfile(member, io.BytesIO(contents))
    return buffer.getvalue()


def passed(data: bytes, seed: int, most: int) -> tuple[bytes, list[Member]]:
    found: list[Member] = []
    tar = CheckedTar(Pieces(data, seed, most), found.append)
    given = b""
    while more := tar.read(most):
        given += more
    return given, found


NAMES = st.text("abü/._", min_size=1, max_size=12) | st.just("long/" * 60 + "name")
FORMS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


@given(
    files=st.dictionaries(NAMES.filter(lambda name: len(name) < 100), st.binary(max_size=2_000), max_size=6),
    form=FORMS,
    folders=st.booleans(),
    seed=st.integers(0, 99),
    most=st.sampled_from([1, 7, 512, 1_000, 10_240, 1 << 20]),
    cut=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=150, deadline=None)
def test_a_tar_passes_whole_or_not_at_all(
    files: dict[str, bytes], form: int, folders: bool, seed: int, most: int, cut: float
) -> None:
    data = tar_of(files, form, folders)
    bytes_out, found = passed(data, seed, most)
    assert bytes_out == data
    assert found == list(members(io.BytesIO(data)))
    last = len(data.rstrip(b"\0"))
    end = last + -last % 512 + 1024 if files or folders else 1024
    with pytest.raises(BrokenFile, match="it ends at byte"):
        passed(data[: int(cut * end)], seed, most)


def test_long_names_are_those_of_the_members() -> None:
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        _, found = passed(tar_of({"long/" * 60 + "name": b"1", "b": b"2"}, form, False), 0, 100)
        assert [member.name for member in found] == ["long/" * 60 + "name", "b"]


def test_what_is_wrong_is_said_again() -> None:
    tar = CheckedTar(io.BytesIO(b"no tar" * 200), lambda member: None)
    tar.check()
    for call in (lambda: tar.read(2_000), tar.check, tar.finish, tar.finish):
        with pytest.raises(BrokenFile, match="the header at byte 0 is broken"):
            call()


def test_an_error_of_the_stream_is_said_with_its_reason() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("the other side left")

    tar = CheckedTar(Failing(), lambda member: None)
    with pytest.raises(BrokenFile, match="cannot be read: the other side left"):
        tar.finish()


@pytest.mark.parametrize("behind", [b"\1", bytes(30_000) + b"more", b"a second tar"])
def test_nothing_may_stand_behind_the_end_mark(behind: bytes) -> None:
    data = tar_of({"a": b"1"}, tarfile.USTAR_FORMAT, False)
    with pytest.raises(BrokenFile, match="behind its end mark"):
        passed(data + behind, 0, 10_240)
    assert passed(data + bytes(30_000), 0, 10_240)[0] == data + bytes(30_000)


def header_of(size_field: bytes, kind: bytes) -> bytes:
    header = bytearray(member_header(b"0.jpg", 0))
    header[124:136], header[156:157] = size_field, kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_header(record: bytes) -> bytes:
    return (
        header_of(b"%011o\0" % len(record), b"x")
        + record.ljust(512, b"\0")
        + header_of(b"00000000000\0", b"0")
    )


@pytest.mark.parametrize("record", [b"\n", b"many size=1\n", b"-9 size=1\n", b"99 size=1\n", b"1 size=1\n"])
def test_an_extended_header_that_is_none_is_told(record: bytes) -> None:
    data = pax_header(record)
    with pytest.raises(BrokenFile, match="an extended header is broken"):
        passed(data + archive_end(len(data)), 0, 10_240)


@pytest.mark.parametrize(
    "data",
    [
        header_of(b"-0000001000\0", b"0"),
        header_of(b"0000000009z\0", b"0"),
        header_of(b"-0000001000\0", b"x"),
        header_of(b"-0000001000\0", b"L"),
        pax_header(b"13 size=-512\n"),
        pax_header(b"14 size=-2048\n"),
        pax_header(b"13 size=many\n"),
    ],
)
def test_a_size_that_is_none_is_told(data: bytes) -> None:
    """With a negative one, a reader would come to the same header again and again."""
    data += archive_end(len(data))
    with pytest.raises(ValueError, match="a header has the size"):
        list(islice(members(io.BytesIO(data)), 10))
    with pytest.raises(BrokenFile, match="a header has the size"):
        passed(data, 0, 10_240)

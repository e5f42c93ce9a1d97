"""Tars of other tools read as streams: by ``tarfile``, GNU tar and webdataset; whole, damaged and cut."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from torch.utils.data import DataLoader

from img2dataset.errors import InputError, OptionError
from img2dataset.formats.tar import archive_end, member_header, members, padding
from img2dataset.training import ImageLoadError, TarStream, collate, preview
from tests.pictures import photograph

IMAGES = [photograph(40 + n, 32, n) for n in range(6)]


def sample_files(count: int = 4) -> dict[str, bytes]:
    """``count`` samples of four members each, beside each other."""
    files = {}
    for n in range(count):
        files[f"{n}.cls"] = str(n).encode()
        files[f"{n}.jpg"] = IMAGES[n]
        files[f"{n}.json"] = json.dumps({"n": n, "caption": "of the json"}).encode()
        files[f"{n}.txt"] = f"caption {n}".encode()
    return files


def by_tarfile(files: Mapping[str, bytes], path: Path, form: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, "w", format=form) as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(contents), 1.5  # type: ignore[assignment]
            archive.addfile(member, io.BytesIO(contents))


def by_gnu_tar(files: Mapping[str, bytes], path: Path) -> None:
    folder = path.with_suffix(".members")
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    subprocess.run(["tar", "--sort=name", "-cf", path, "-C", folder, "."], check=True)


def by_webdataset(files: Mapping[str, bytes], path: Path) -> None:
    with webdataset.TarWriter(str(path)) as writer:
        samples: dict[str, dict[str, Any]] = {}
        for name, contents in files.items():
            key, ending = name.split(".", 1)
            samples.setdefault(key, {"__key__": key})[ending] = contents
        for sample in samples.values():
            writer.write(sample)


def by_ustar(files: Mapping[str, bytes], path: Path) -> None:
    by_tarfile(files, path, tarfile.USTAR_FORMAT)


def by_old_gnu(files: Mapping[str, bytes], path: Path) -> None:
    by_tarfile(files, path, tarfile.GNU_FORMAT)


PACKERS = [by_tarfile, by_ustar, by_old_gnu, by_gnu_tar, by_webdataset]


@pytest.mark.parametrize("pack", PACKERS)
def test_tars_of_every_packer_are_read(pack: Callable[..., None], tmp_path: Path) -> None:
    pack(sample_files(), tmp_path / "a.tar")
    samples = list(TarStream(tmp_path / "a.tar"))
    assert [sample["img"].size for sample in samples] == [(40 + n, 32) for n in range(4)]
    assert [sample["caption"] for sample in samples] == [f"caption {n}" for n in range(4)]
    assert [sample["files"] for sample in samples] == [{"cls": b"%d" % n} for n in range(4)]
    for n, sample in enumerate(samples):
        assert sample["metadata"] == {
            "n": n,
            "caption": f"caption {n}",
            "key": str(n),
            "tar": str(tmp_path / "a.tar"),
        }


def keys_and_files(path: Path, **options: Any) -> list[tuple[str, dict[str, bytes]]]:
    stream = TarStream(path, image="bytes", **options)
    return [(sample["metadata"]["key"], {"image": sample["img"]} | sample["files"]) for sample in stream]


@pytest.mark.parametrize("pack", [by_tarfile, by_gnu_tar])
@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"cats/0.png": 0, "cats/1.png": 1, "dogs/0.png": 2}, {}, {"cats/0": 0, "cats/1": 1, "dogs/0": 2}),
        ({"cats.v1/0.webp": 0, "cats.v1/1.jpeg": 1}, {}, {"cats.v1/0": 0, "cats.v1/1": 1}),
        ({"0.JPG": 0, "1.Jpeg": 1}, {}, {"0": 0, "1": 1}),
        ({"a.b.jpg": 0, "c.d.jpg": 1}, {}, {"a": 0, "c": 1}),
        ({"a.b.jpg": 0, "a.c.jpg": 1}, {"key_end": "last_dot"}, {"a.b": 0, "a.c": 1}),
        ({"x.1/a.b.jpg": 0, "x.1/a.c.jpg": 1}, {"key_end": "last_dot"}, {"x.1/a.b": 0, "x.1/a.c": 1}),
        ({"0.img": 0, "1.img": 1}, {"image_ending": ".IMG"}, {"0": 0, "1": 1}),
        ({"._0.jpg": 9, "0.jpg": 0, "cats/._1.jpg": 9, "cats/1.jpg": 1}, {}, {"0": 0, "cats/1": 1}),
        ({"LICENSE": 9, "__notes__": 9, "a.jpg": 0}, {}, {"a": 0}),
        ({"n" * 120 + "/" + "m" * 130 + ".jpg": 0}, {}, {"n" * 120 + "/" + "m" * 130: 0}),
        ({"größe/ü.jpg": 0, "größe/日本.jpg": 1}, {}, {"größe/ü": 0, "größe/日本": 1}),
    ],
)
def test_names_of_every_kind(
    pack: Callable[..., None],
    files: dict[str, int],
    options: dict[str, Any],
    expected: dict[str, int],
    tmp_path: Path,
) -> None:
    contents = {name: IMAGES[n] if n < 9 else b"no image" for name, n in files.items()}
    pack(contents, tmp_path / "a.tar")
    found = keys_and_files(tmp_path / "a.tar", **options)
    assert sorted(found) == sorted((key, {"image": IMAGES[n]}) for key, n in expected.items())


def test_a_look_at_tars(tmp_path: Path) -> None:
    by_ustar(sample_files(), tmp_path / "a.tar")
    sheet = preview(TarStream(tmp_path / "a.tar"), 4, columns=2, size=64)
    assert sheet.size[0] == 2 * 72 + 8
    assert len(np.unique(np.asarray(sheet))) > 50


def test_one_of_several_images_is_chosen(tmp_path: Path) -> None:
    by_ustar({"a.left.jpg": IMAGES[0], "a.right.jpg": IMAGES[1], "a.txt": b"two"}, tmp_path / "a.tar")
    with pytest.raises(InputError, match=r"a\.tar' has 2 images of the sample 'a': left\.jpg, right\.jpg"):
        list(TarStream(tmp_path / "a.tar"))
    found = keys_and_files(tmp_path / "a.tar", image_ending="right.jpg")
    assert found == [("a", {"image": IMAGES[1], "left.jpg": IMAGES[0]})]


class Whole:
    """A tar of four samples, and where its members lie."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "a.tar"
        by_ustar(sample_files(), self.path)
        self.data = self.path.read_bytes()
        with open(self.path, "rb") as file:
            self.members = list(members(file))
        self.end = self.members[-1].end


DAMAGES: dict[str, tuple[Callable[[Whole], bytes], str]] = {
    "without an end mark": (lambda tar: tar.data[: tar.end], "without the end mark"),
    "half an end mark": (lambda tar: tar.data[: tar.end + 512], "in the middle of a member"),
    "cut between samples": (lambda tar: tar.data[: tar.members[8].start], "without the end mark"),
    "cut in a header": (lambda tar: tar.data[: tar.members[8].start + 200], "in the middle of a member"),
    "cut in contents": (lambda tar: tar.data[: tar.members[5].contents + 300], "in the middle of a member"),
    "a bit of a header": (lambda tar: changed(tar.data, tar.members[8].start + 2, 1), "header at byte"),
    "a header of zeros": (
        lambda tar: tar.data[: tar.members[8].start] + bytes(512) + tar.data[tar.members[8].contents :],
        "its end mark at byte",
    ),
    "a sample of zeros": (
        lambda tar: (
            tar.data[: tar.members[8].start]
            + bytes(tar.members[11].end - tar.members[8].start)
            + tar.data[tar.members[11].end :]
        ),
        "behind its end mark",
    ),
    "two joined": (lambda tar: tar.data + tar.data, "behind its end mark"),
    "empty": (lambda tar: b"", "it ends at byte 0"),
    "no tar": (lambda tar: b"<html>" * 400, "the header at byte 0"),
}


def changed(data: bytes, position: int, bits: int) -> bytes:
    return data[:position] + bytes([data[position] ^ bits]) + data[position + 1 :]


# What a worker raises comes the same way whatever it is, and the end of a worker that has raised may take
# torch five seconds.
@pytest.mark.parametrize(
    ("damage", "workers"),
    [
        *((damage, 0) for damage in DAMAGES),
        ("cut between samples", 1),
        ("a bit of a header", 1),
        *(
            pytest.param(damage, 1, marks=pytest.mark.slow)
            for damage in DAMAGES
            if damage not in ("cut between samples", "a bit of a header")
        ),
    ],
)
def test_a_damaged_tar_is_never_a_shorter_one(damage: str, workers: int, tmp_path: Path) -> None:
    whole = Whole(tmp_path)
    spoil, message = DAMAGES[damage]
    whole.path.write_bytes(spoil(whole))
    with pytest.raises(InputError, match=message) as caught:
        list(DataLoader(TarStream(whole.path), batch_size=None, num_workers=workers))
    assert str(whole.path) in str(caught.value)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_tar_cut_anywhere_is_noticed(form: int, tmp_path: Path) -> None:
    files = {name: contents[:700] for name, contents in sample_files(2).items()}
    by_tarfile(files, tmp_path / "a.tar", form)
    data = (tmp_path / "a.tar").read_bytes()
    last = len(data.rstrip(b"\0")) + 512
    stream = TarStream(tmp_path / "a.tar", image="bytes")
    for size in [*range(0, last, 97), *range(0, last, 512)]:
        (tmp_path / "a.tar").write_bytes(data[:size])
        with pytest.raises(InputError, match="it ends at byte"):
            list(stream)


def test_a_gzipped_tar_is_read_and_a_cut_one_is_noticed(tmp_path: Path) -> None:
    by_ustar(sample_files(), tmp_path / "a.tar")
    packed = gzip.compress((tmp_path / "a.tar").read_bytes())
    path = tmp_path / "a.tgz"
    path.write_bytes(packed)
    assert [sample["metadata"]["n"] for sample in TarStream(path)] == [0, 1, 2, 3]
    for spoilt in (packed[:-1], packed[:-400], packed[:1], packed + b"more", changed(packed, 700, 255)):
        path.write_bytes(spoilt)
        with pytest.raises(InputError, match=r"the tar '.*a\.tgz' (is broken|cannot be read)"):
            list(TarStream(path))


UNCLEAR: dict[str, tuple[dict[str, bytes], str]] = {
    "apart": ({"0.jpg": b"1", "1.jpg": b"1", "0.txt": b"1"}, r"0\.txt, apart .* --sort=name"),
    "captions first": ({"0.txt": b"1", "1.txt": b"1", "0.jpg": b"1"}, "no image of the sample '0', but txt"),
    "twice": ({"0.jpg": b"1", "0.JPG": b"1"}, r"has 0\.JPG twice"),
    "no ending": ({"0": b"1", "1": b"1"}, "has 2 files, and none with an ending"),
    "another ending": ({"0.bin": b"1"}, "no image of the sample '0', but bin.* image_ending"),
    "no json": ({"0.jpg": b"1", "0.json": b"{"}, "a json of '0'"),
    "no text": ({"0.jpg": b"1", "0.txt": b"\xff"}, "a caption of '0' that is no UTF-8"),
    "a name of the library's": ({"0.jpg": b"1", "0.__key__": b"1"}, "is broken"),
    "a mark of the library's": ({"0.jpg": b"1", "0.__bad__": b"1"}, "1 sample, of which 0"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_members_that_are_no_whole_sample_are_told(case: str, tmp_path: Path) -> None:
    files, message = UNCLEAR[case]
    by_ustar(files, tmp_path / "a.tar")
    with pytest.raises(InputError, match=f"a.tar' .*{message}"):
        list(TarStream(tmp_path / "a.tar", image="bytes"))


def test_folders_of_the_oldest_tars_are_no_files(tmp_path: Path) -> None:
    data = b""
    for name, contents in {
        "cats/": b"",
        "cats/0.jpg": IMAGES[0],
        "dogs/": b"",
        "dogs/0.jpg": IMAGES[1],
    }.items():
        header = bytearray(member_header(name.encode(), len(contents)))
        header[156:157], header[257:265] = b"\0", bytes(8)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        data += header + contents + padding(len(contents))
    (tmp_path / "a.tar").write_bytes(data + archive_end(len(data)))
    found = keys_and_files(tmp_path / "a.tar")
    assert found == [("cats/0", {"image": IMAGES[0]}), ("dogs/0", {"image": IMAGES[1]})]


@pytest.mark.parametrize("size", [0, 100, 699, 1_500])
def test_members_that_the_library_would_read_at_another_length_are_told(size: int, tmp_path: Path) -> None:
    """A header for all members sets a size, which ``tarfile`` follows."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", pax_headers={"size": str(size)}) as archive:
        for n in range(4):
            member = tarfile.TarInfo(f"{n}.jpg")
            member.size = 700
            archive.addfile(member, io.BytesIO(bytes(700)))
    with pytest.raises(InputError, match=r"0\.jpg, which is read as|could not be read|is broken"):
        list(TarStream(path, image="bytes"))


@pytest.mark.parametrize("kind", ["hard link", "symbolic link", "file with holes"])
def test_what_a_stream_cannot_give_is_told(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "members"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(IMAGES[0])
    options = []
    if kind == "hard link":
        os.link(folder / "0.jpg", folder / "1.jpg")
    elif kind == "symbolic link":
        os.symlink("0.jpg", folder / "1.jpg")
    else:
        with open(folder / "1.jpg", "wb") as file:
            file.write(IMAGES[1])
            file.truncate(10_000_000)
        options = ["--sparse"]
    for form in ("gnu", "posix"):
        command = [
            "tar",
            *options,
            f"--format={form}",
            "-cf",
            tmp_path / "a.tar",
            "-C",
            folder,
            "0.jpg",
            "1.jpg",
        ]
        subprocess.run(command, check=True)
        with pytest.raises(InputError, match=rf"has the {kind} .*1\.jpg"):
            list(TarStream(tmp_path / "a.tar"))


def test_an_image_that_is_none_is_told_with_its_tar(tmp_path: Path) -> None:
    by_ustar({"cats/0.jpg": b"no image"}, tmp_path / "a.tar")
    with pytest.raises(ImageLoadError, match=r"a\.tar:cats/0: decode"):
        list(TarStream(tmp_path / "a.tar"))


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    """Five tars of four samples each."""
    folder = tmp_path / "tars"
    folder.mkdir()
    for n in range(5):
        by_ustar(
            {f"{n}-{name}": contents for name, contents in sample_files().items()}, folder / f"{n:03d}.tar"
        )
    (folder / "readme.md").write_text("five tars")
    return folder


ALL_KEYS = [f"{tar}-{n}" for tar in range(5) for n in range(4)]


@pytest.mark.parametrize("way", ["", "/*.tar", "/00?.tar", "/{000..004}.tar", "/{000,001,002,003,004}.tar"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_folders_and_patterns(tars: Path, way: str, scheme: str) -> None:
    keys = [sample["metadata"]["key"] for sample in TarStream(f"{scheme}{tars}{way}", image="bytes")]
    assert keys == ALL_KEYS


def test_a_list_of_tars_keeps_its_order(tars: Path) -> None:
    stream = TarStream([tars / "003.tar", f"{tars}/{{000..001}}.tar"], image="bytes")
    keys = [sample["metadata"]["key"] for sample in stream]
    assert keys == [*ALL_KEYS[12:16], *ALL_KEYS[:8]]


@pytest.mark.parametrize(
    "tars_given", [[], 5, [5], "{folder}/x{{y}}.tar", "simplecache::file://{{0..1}}.tar"]
)
def test_what_is_no_tar_is_told_at_once(tars_given: Any, tmp_path: Path) -> None:
    given = tars_given.format(folder=tmp_path) if isinstance(tars_given, str) else tars_given
    with pytest.raises(OptionError, match="tars"):
        TarStream(given)
    for empty in (tmp_path, f"{tmp_path}/*.tar"):
        with pytest.raises(InputError, match="has no tar"):
            TarStream(empty)
    with pytest.raises(InputError, match=r"the tar '.*none\.tar' cannot be opened: No such file"):
        list(TarStream(tmp_path / "none.tar"))
    with pytest.raises(OptionError, match="key_end is 'dot'"):
        TarStream(tmp_path / "none.tar", key_end="dot")  # type: ignore[arg-type]


def read_by_ranks(
    tars: Path, ranks: int, workers: int, epoch: int, **options: Any
) -> list[tuple[str, int, Any]]:
    found = []
    for rank in range(ranks):
        stream = TarStream(
            tars,
            img_transform={"resize": [8, 8], "horizontal_flip": 0.5},
            rank=rank,
            world_size=ranks,
            **options,
        )
        stream.set_epoch(epoch)
        loader = DataLoader(stream, batch_size=3, num_workers=workers, collate_fn=collate)
        for batch in loader:
            found += [
                (row["key"], int(index), picture.sum().item())
                for row, index, picture in zip(batch["metadata"], batch["index"], batch["img"], strict=True)
            ]
    return found


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (1, 2), (2, 0), (2, 2), (7, 0)])
def test_samples_are_the_same_however_they_are_divided(tars: Path, ranks: int, workers: int) -> None:
    options = {"shuffle_shards": True, "shuffle_buffer": 3, "seed": 5}
    for epoch in (0, 1):
        expected = sorted(read_by_ranks(tars, 1, 0, epoch, seed=5))
        assert [key for key, _, _ in expected] == ALL_KEYS
        assert len({index for _, index, _ in expected}) == len(ALL_KEYS)
        assert sorted(read_by_ranks(tars, ranks, workers, epoch, **options)) == expected


def test_the_order_follows_from_seed_and_epoch(tars: Path) -> None:
    def order(epoch: int, **options: Any) -> list[str]:
        stream = TarStream(tars, image="bytes", **options)
        stream.set_epoch(epoch)
        return [sample["metadata"]["key"] for sample in stream]

    shuffled = {"shuffle_shards": True, "shuffle_buffer": 5, "seed": 3}
    assert order(0) == order(1) == ALL_KEYS
    assert order(0, **shuffled) == order(0, **shuffled)
    assert sorted(order(0, **shuffled)) == ALL_KEYS
    assert len({tuple(order(epoch, **shuffled)) for epoch in range(3)} | {tuple(ALL_KEYS)}) == 4
